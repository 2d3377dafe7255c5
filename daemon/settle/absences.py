"""Since when servers have known nothing of prompts of ours, and what of it outlives a start."""

from collections.abc import Iterable, Mapping

import msgspec

from daemon.clock import Clock, boot_id
from ledger.entry import Meta
from ledger.ledger import Ledger
from ledger.task import Task

#: The section of the ledger's meta part; its keys are the servers' names.
SECTION = "absences"


class Absence(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A task as it stood when its server did not know its prompt; there may be thousands."""

    version: int  # one that changed since may have been sent anew
    since_seconds: float  # of the machine's monotonic clock


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What a start found absent before it waited: the next one, if it is killed, goes on there."""

    boot_id: str  # another boot has another monotonic clock
    absences: dict[str, Absence]  # by task id


class Absences:
    """Prompts that were in neither queue nor history at their last look."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}  # prompt id -> monotonic seconds

    def seconds(self, prompt_id: str, *, absent: bool) -> float:
        """Return how long the prompt has been absent, as a look finds it now."""
        if not absent:
            self.end(prompt_id)
            return 0.0
        now = self._clock.monotonic()
        return now - self._since.setdefault(prompt_id, now)

    def end(self, prompt_id: str) -> None:
        """Forget the prompt: it is somewhere, or it has its verdict."""
        self._since.pop(prompt_id, None)

    def note(self, server: str, tasks: Iterable[Task]) -> Meta:
        """Return the ledger's record of those of *tasks*, all on *server*, that are absent."""
        absences = {
            task.task_id: Absence(task.version, self._since[task.comfyui_task_id])
            for task in tasks
            if task.comfyui_task_id in self._since
        }
        note = Note(boot_id=boot_id(), absences=absences)
        return Meta(section=SECTION, key=server, value=msgspec.to_builtins(note))

    def recall(self, ledger: Ledger, server: str, tasks: Iterable[Task]) -> None:
        """Count the absence of *tasks* from where an earlier start noted it, if it still holds."""
        noted = ledger.meta(SECTION).get(server)
        if not isinstance(noted, Mapping):
            return
        note = msgspec.convert(noted, Note)
        if note.boot_id == "" or note.boot_id != boot_id():
            return
        for task in tasks:
            known = note.absences.get(task.task_id)
            if known is not None and known.version == task.version and task.comfyui_task_id:
                self._since.setdefault(task.comfyui_task_id, known.since_seconds)


def forgotten(server: str) -> Meta:
    """Return the record that removes the note on *server*."""
    return Meta(section=SECTION, key=server, value=None)
