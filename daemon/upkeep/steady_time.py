"""Whether the wall clock can be trusted with what cannot be undone: removing by age."""

from daemon.clock import Clock

#: The wall clock leapt when it went so much further, or less far, than the monotonic one. A clock
#: that is only adjusted goes 0.05 % wrong; one that was set, or a machine that slept, far more.
LEAP_SECONDS = 180.0
#: A machine that starts with a wrong clock gets the right time within minutes.
AFTER_START_SECONDS = 3_600.0
#: Who set the clock wrong notices within a day.
AFTER_LEAP_SECONDS = 86_400.0


class SteadyTime:
    """Compares the two clocks at each ``look``; the more often, the sooner a leap is known."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wall, self._monotonic = clock.now(), clock.monotonic()
        self._trusted_from = self._monotonic + AFTER_START_SECONDS
        self.leaps = 0  # seen so far

    def look(self) -> bool:
        """Return whether the wall clock has gone steadily for long enough, up to this moment."""
        wall, monotonic = self._clock.now(), self._clock.monotonic()
        went = (wall - self._wall).total_seconds() - (monotonic - self._monotonic)
        self._wall, self._monotonic = wall, monotonic
        if abs(went) > LEAP_SECONDS:
            self.leaps += 1
            self._trusted_from = monotonic + AFTER_LEAP_SECONDS
        return monotonic >= self._trusted_from
