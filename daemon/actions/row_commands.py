"""The commands of a table's row, by the same plans as API and command line."""

from collections.abc import Callable, Sequence

import msgspec

from daemon.actions.batches import pause, resume
from daemon.actions.errors import ActionError
from daemon.actions.files import PathOf
from daemon.actions.performing import perform
from daemon.actions.plan import Plan, View
from daemon.actions.priority import put_first
from daemon.actions.tasks import cancel, retry
from daemon.clock import Clock
from daemon.tables.status import Command
from daemon.words import Words
from ledger.batch import Batch
from ledger.entry import Meta, Record
from ledger.ledger import Ledger
from ledger.status import OPEN_STAGES, Stage
from ledger.task import Task
from ledger.timestamps import to_timestamp


class RowCommands:
    """Carries out what stands in 命令; see ``daemon.intake.command_column.RowCommands``."""

    def __init__(
        self, ledger: Ledger, clock: Clock, *, input_path: PathOf, output_path: PathOf
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._input_path = input_path
        self._output_path = output_path

    async def carry_out(
        self, task: Task, command: Command, note: Meta, *, actor: str, words: Words
    ) -> str:
        """Do what *command* asks for the row of *task*, with *note* in the same transaction."""
        plan_of = self._planner(command)

        def plan() -> Plan:
            at = to_timestamp(self._clock.now())
            return _with_note(plan_of(row_tasks(self._ledger, task), at), note, words)

        try:
            answer = await perform(self._ledger, plan, actor=actor, words=words)
        except ActionError as error:
            return words(f"error.{error.code}.message", **error.values)
        return str(answer["message"])

    def _planner(self, command: Command) -> Callable[[list[Task], str], Plan]:
        match command:
            case Command.RETRY:
                return self._retry
            case Command.CANCEL:
                return self._cancel
            case Command.PAUSE:
                return lambda tasks, at: pause(self._ledger, tasks[0].batch_id, at=at)
            case Command.RESUME:
                return lambda tasks, at: resume(self._ledger, tasks[0].batch_id, at=at)
            case Command.URGENT:
                return lambda tasks, at: put_first(self._ledger, tasks, at=at)
            case Command.RERUN:
                raise AssertionError(command)  # the row is taken anew: intake's work

    def _retry(self, tasks: list[Task], at: str) -> Plan:
        ended = [task for task in tasks if task.stage in (Stage.FAILED, Stage.CANCELLED)]
        return _joined(
            [
                retry(
                    self._ledger,
                    task.task_id,
                    copy_files=True,
                    at=at,
                    input_path=self._input_path,
                    output_path=self._output_path,
                )
                for task in ended or tasks[:1]
            ]
        )

    def _cancel(self, tasks: list[Task], at: str) -> Plan:
        open_ = [task for task in tasks if task.stage in OPEN_STAGES]
        return _joined([cancel(self._ledger, task.task_id, at=at) for task in open_ or tasks[:1]])


def row_tasks(view: View, task: Task) -> list[Task]:
    """Return the newest task of each stage of the table's row that *task* was made for."""
    types = task.metadata.table_row.workflow_types if task.metadata.table_row else ()
    newest = (view.newest_of_family(task.row_id, name) for name in types)
    return [each for each in newest if each is not None] or [task]


def _joined(plans: Sequence[Plan]) -> Plan:
    """Return the plans as one transaction; a batch that several of them change, changes once."""
    records: dict[str, Record] = {}
    for record in (record for plan in plans for record in plan.records):
        key = record.record_id if isinstance(record, Task | Batch) else record.key
        records.setdefault(key, record)
    first = next((plan for plan in plans if plan.records), plans[0])
    return msgspec.structs.replace(first, records=tuple(records.values()))


def _with_note(plan: Plan, note: Meta, words: Words) -> Plan:
    """Add the note of what was done; where nothing is, doing nothing again does no harm."""
    if not plan.records:
        return plan
    told = str(plan.told(words)["message"])
    value = {**(note.value if isinstance(note.value, dict) else {}), "told": told}
    return msgspec.structs.replace(
        plan, records=(*plan.records, msgspec.structs.replace(note, value=value))
    )
