"""Which drops are complete: at rest, closed by their writers, and with every picture they name.

Whether the pictures are there is asked when the job file is read for taking it; a drop that has
to wait for one is judged here by its pictures alone until they are there.
"""

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from config.settings import Inbox
from daemon.intake.candidates import PlannedDrop
from daemon.intake.drops import DropPlace, sight_of
from daemon.intake.errors import BadPicture
from daemon.intake.lease import Writers, writers_of
from daemon.intake.safeopen import place_of
from daemon.intake.settling import Rest, Settling, Sight
from daemon.timepiece import Timepiece


class Completeness:
    """Judges drops look by look; every call does disk work and belongs in a thread.

    The calls come one at a time.
    """

    def __init__(self, inbox: Inbox, allow: Sequence[Path], clock: Timepiece) -> None:
        self._inbox = inbox
        self._allow = allow
        self._clock = clock
        self._actual_inbox = Path(os.path.realpath(inbox.path))
        self._settling = Settling(inbox.settle_seconds)
        self._named: dict[str, tuple[Sight, float, tuple[Path, ...]]] = {}
        self._renamed: Collection[str] = ()
        self.held: set[str] = set()  # drops at rest that wait for a writer or pictures

    def complete(
        self, places: Sequence[DropPlace], renamed: Collection[str] = ()
    ) -> list[DropPlace]:
        """Return those of *places*, all that were looked at now, that can be taken.

        *renamed*: names in the inbox that came by a rename since the last look.
        """
        self.held, self._renamed = set(), renamed
        ready = [place for place in places if self._is_complete(place)]
        lying = {str(path) for place in places for path in place.files}
        pictures = {str(p) for _, _, named in self._named.values() for p in named}
        self._settling.keep_only(lying | pictures)
        names = {place.name for place in places}
        self._named = {name: known for name, known in self._named.items() if name in names}
        return ready

    def has_pictures(self, place: DropPlace, planned: PlannedDrop) -> bool:
        """Say whether all pictures that *planned* names are there and at rest; if not, it waits."""
        pictures = self._pictures_of(planned)
        if not pictures or place.name in self._named:  # they are there, or were waited for
            return True
        self._named[place.name] = (place.sight, self._clock.monotonic(), pictures)
        if self.has_rested(place):
            return True
        self.held.add(place.name)
        return False

    def has_rested(self, place: DropPlace) -> bool:
        """Say whether all known pictures are there and at rest, or were waited for long enough."""
        known = self._named.get(place.name)
        if known is None:
            return True
        if known[0] != place.sight:
            del self._named[place.name]  # another job file: it is read anew
            return True
        _, since, pictures = known
        rests = [self._rest_of_picture(place, picture) for picture in pictures]
        waited = self._clock.monotonic() - since
        if waited >= self._inbox.wait_for_pictures_seconds:
            return False not in rests  # what is missing now is missing
        return all(rests)

    def lacking(self, place: DropPlace) -> list[Path]:
        """Return the pictures that the drop at *place* waits for."""
        _, _, pictures = self._named.get(place.name, (None, None, ()))
        return [each for each in pictures if not self._rest_of_picture(place, each)]

    def _is_complete(self, place: DropPlace) -> bool:
        try:
            renamed = place.name in self._renamed
            rests = [
                self._rest_of(path, sight, renamed=renamed) for path, sight in place.files.items()
            ]
            if Rest.MOVING in rests:
                return False
            closed = all(map(self._is_closed, place.files, rests))
        except (FileNotFoundError, NotADirectoryError):
            return False  # it goes away under our eyes
        if closed and self.has_rested(place):
            return True
        self.held.add(place.name)
        return False

    def _rest_of(self, path: Path, sight: Sight, *, renamed: bool = False) -> Rest:
        monotonic, wall = self._clock.monotonic(), self._clock.now().timestamp()
        return self._settling.look(
            str(path), sight, monotonic=monotonic, wall=wall, renamed=renamed
        )

    def _is_closed(self, path: Path, rest: Rest) -> bool:
        writers = writers_of(self._inbox.path / path)
        return writers is Writers.NONE or (writers is Writers.UNKNOWN and rest is not Rest.OLD)

    def _rest_of_picture(self, place: DropPlace, picture: Path) -> bool | None:
        """Say whether a picture is at rest; None when it is not there."""
        renamed = False
        if picture.is_relative_to(self._actual_inbox):
            inside = picture.relative_to(self._actual_inbox)
            if inside in place.files:
                return True  # a drop's own files are at rest by now
            renamed = inside.parts[0] in self._renamed
        try:
            rest = self._rest_of(picture, sight_of(picture.stat()), renamed=renamed)
            return rest is not Rest.MOVING and self._is_closed(picture, rest)
        except OSError:
            return None

    def _pictures_of(self, planned: PlannedDrop) -> tuple[Path, ...]:
        """Return the pictures that rows name and that may lie where they say."""
        return tuple(dict.fromkeys(self._places_of(planned.pictures(), planned.drop.pictures_in)))

    def _places_of(self, pictures: Iterable[str], root: Path) -> Iterable[Path]:
        for named in pictures:
            try:
                base, relative = place_of(named, root, self._allow)
            except BadPicture:
                continue
            yield Path(os.path.join(base, relative))  # noqa: PTH118 - keeps both as they are
