"""Which drops are complete: at rest, closed by their writers, and with every picture they name."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from config.settings import Inbox
from daemon.clock import Clock
from daemon.intake.columns import WorkflowNeeds, known_columns
from daemon.intake.drops import DropPlace, sight_of
from daemon.intake.errors import BadPicture, IntakeError
from daemon.intake.lease import Writers, writers_of
from daemon.intake.reading import read_job
from daemon.intake.rows import WantedRow, plan_row
from daemon.intake.safeopen import place_of
from daemon.intake.settling import Rest, Settling, Sight


class Completeness:
    """Judges drops look by look; every call does disk work and belongs in a thread."""

    def __init__(
        self,
        inbox: Inbox,
        needs: Mapping[str, WorkflowNeeds],
        allow: Sequence[Path],
        clock: Clock,
    ) -> None:
        self._inbox = inbox
        self._needs = needs
        self._allow = allow
        self._clock = clock
        self._actual_inbox = Path(os.path.realpath(inbox.path))
        self._settling = Settling(inbox.settle_seconds)
        self._named: dict[str, tuple[Sight, float, tuple[Path, ...]]] = {}

    def complete(self, places: Sequence[DropPlace]) -> list[DropPlace]:
        """Return those of *places*, all that lie in the inbox now, that can be taken."""
        ready = [place for place in places if self._is_complete(place)]
        lying = {str(path) for place in places for path in place.files}
        pictures = {str(p) for _, _, named in self._named.values() for p in named}
        self._settling.keep_only(lying | pictures)
        names = {place.name for place in places}
        self._named = {name: known for name, known in self._named.items() if name in names}
        return ready

    def _is_complete(self, place: DropPlace) -> bool:
        try:
            resting = [self._at_rest(path, sight) for path, sight in place.files.items()]
            return all(resting) and (place.job is None or self._has_pictures(place))
        except (FileNotFoundError, NotADirectoryError):
            return False  # it goes away under our eyes

    def _at_rest(self, path: Path, sight: Sight) -> bool:
        wall = self._clock.now().timestamp()
        rest = self._settling.look(str(path), sight, monotonic=self._clock.monotonic(), wall=wall)
        if rest is Rest.MOVING:
            return False
        writers = writers_of(self._inbox.path / path)
        return writers is Writers.NONE or (writers is Writers.UNKNOWN and rest is Rest.STILL)

    def _has_pictures(self, place: DropPlace) -> bool:
        """Say whether all pictures are there and at rest, or were waited for long enough."""
        known = self._named.get(place.name)
        if known is None or known[0] != place.sight:
            known = (place.sight, self._clock.monotonic(), self._pictures_of(place))
            self._named[place.name] = known
        _, since, pictures = known
        rests = [self._rest_of_picture(place, picture) for picture in pictures]
        waited = self._clock.monotonic() - since
        if waited >= self._inbox.wait_for_pictures_seconds:
            return False not in rests  # what is missing now is missing
        return all(rests)

    def _rest_of_picture(self, place: DropPlace, picture: Path) -> bool | None:
        """Say whether a picture is at rest; None when it is not there."""
        inside = picture.is_relative_to(self._actual_inbox)
        if inside and picture.relative_to(self._actual_inbox) in place.files:
            return True  # a drop's own files are at rest by now
        try:
            return self._at_rest(picture, sight_of(picture.stat()))
        except OSError:
            return None

    def _pictures_of(self, place: DropPlace) -> tuple[Path, ...]:
        """Return the pictures that the job file names and that may lie where it says."""
        try:
            job, _ = read_job(self._inbox.path, place, known_columns(self._needs))
        except IntakeError:
            return ()  # whoever takes the drop gives the answer
        if place.job is None:
            return ()
        root = (self._inbox.path / place.job).parent
        found: dict[Path, None] = {}
        for raw in job.rows:
            row = plan_row(raw, self._needs)
            for named in row.pictures.values() if isinstance(row, WantedRow) else ():
                try:
                    base, relative = place_of(named, root, self._allow)
                except BadPicture:
                    continue
                found[Path(os.path.join(base, relative))] = None  # noqa: PTH118 - keeps both as they are
        return tuple(found)
