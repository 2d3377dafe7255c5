"""Results that lie in cells are put into the document before their row is told of them."""

from collections.abc import Mapping, Sequence

from daemon import failpoint
from daemon.clock import Clock
from daemon.publish.due import Due
from daemon.publish.row_news import Placed, RowNews, is_replaced
from daemon.tables.cells import Outcome, Result
from daemon.tables.errors import Refused, Trouble, said_by
from daemon.tables.handle import TableHandle
from ledger.entry import Meta
from ledger.errors import Conflict
from ledger.ledger import Ledger
from ledger.task import Task
from ledger.timestamps import to_timestamp

#: Who puts results into documents unless somebody asked for it.
DAEMON = "daemon"


class Uploads:
    """Puts results of one table into its document, each once: what was put is noted at once."""

    def __init__(self, handle: TableHandle, ledger: Ledger, news: RowNews, clock: Clock) -> None:
        self._handle = handle
        self._ledger = ledger
        self._news = news
        self._clock = clock

    async def put(self, rows: Mapping[str, Due]) -> dict[str, Outcome]:
        """Put what the document lacks of *rows*; returns the rows of what it refuses.

        Raises TableError, LedgerError. A kill at any step leads to no second upload, but where an
        upload in one call is not noted yet and the document does not show it.
        """
        refused: dict[str, Outcome] = {}
        homeless: list[Placed] = []
        for key, due in rows.items():
            if due.archived:  # all that has a place was put there before
                continue
            tasks = self._news.tasks(due.row_id, due.workflow_types)
            if not tasks or is_replaced(tasks):
                continue
            refusal, without_place = await self._put(key, tasks, DAEMON)
            homeless += without_place
            if refusal is not None:
                refused[key] = Outcome(result=Result.REFUSED, trouble=refusal)
        await self._note_homeless(homeless, DAEMON)
        return refused

    async def put_row(self, key: str, tasks: Sequence[Task], actor: str) -> None:
        """Put what the document lacks of one row, as ``put``; who asks is told of no refusal."""
        _, homeless = await self._put(key, tasks, actor)
        await self._note_homeless(homeless, actor)

    async def _put(
        self, key: str, tasks: Sequence[Task], actor: str
    ) -> tuple[Trouble | None, list[Placed]]:
        """Return why a result was refused, if one was, and those for which there is no place."""
        table, among = self._handle.table, self._handle.original(tasks[0]).among
        refusal: Trouble | None = None
        homeless: list[Placed] = []
        for result in self._news.uploads(tasks):
            ongoing = self._handle.ongoing(result.task_id, result.file.sha256)
            try:
                token = await table.upload(result.file, key, result.column, among, ongoing)
            except Refused as error:
                refusal = error.trouble
            except OSError as error:
                refusal = Trouble(code="result_unreadable", phrases={"reason": said_by(error)})
            else:
                if not token:
                    homeless.append(result)
                    continue
                failpoint.reach("publish.uploaded")
                await self._note([result], token, actor, ongoing.removal())
        return refusal, homeless

    async def give_up_unknown(
        self,
        rows: Mapping[str, Sequence[Task]],
        outcomes: Mapping[str, Outcome],
        *,
        actor: str = DAEMON,
    ) -> list[str]:
        """Note of files that the document does not know that they go up anew; returns their rows.

        These are due again. Rows whose files went up anew before are not among them. Raises
        LedgerError. A kill before the note leads to the same outcome again.
        """
        again: list[str] = []
        for key, outcome in outcomes.items():
            if outcome.result is not Result.UNKNOWN_FILES:
                continue
            at, why = to_timestamp(self._clock.now()), outcome.trouble
            without = self._news.with_unknown(rows[key], outcome.unknown, at)
            if not without:
                continue
            again.append(key)
            reason = why.text(self._handle.words) if why else None
            try:
                await self._ledger.commit(
                    *without, op="task.upload_unknown", actor=actor, reason=reason
                )
            except Conflict:  # it changed this moment; the next write is refused as well
                continue
            failpoint.reach("publish.upload_given_up")
        return again

    async def _note(
        self, results: Sequence[Placed], token: str, actor: str, removal: Sequence[Meta] = ()
    ) -> None:
        """Note the token of results of one task; the note of the upload goes with it."""
        while True:
            noted = self._noted(results, token)
            try:
                await self._ledger.commit(noted, *removal, op="task.uploaded", actor=actor)
            except Conflict:  # a lost note would mean a second upload
                await self._clock.pause(0.01)
                continue
            failpoint.reach("publish.upload_noted")
            return

    async def _note_homeless(self, results: Sequence[Placed], actor: str) -> None:
        """Note of results without a place that nothing is to be put: one note for all of them."""
        by_task: dict[str, list[Placed]] = {}
        for each in results:
            by_task.setdefault(each.task_id, []).append(each)
        if not by_task:
            return
        notes = [self._noted(own, "") for own in by_task.values()]
        try:
            await self._ledger.commit(*notes, op="task.uploaded", actor=actor)
        except Conflict:  # one of them changed this moment
            for own in by_task.values():
                await self._note(own, "", actor)

    def _noted(self, results: Sequence[Placed], token: str) -> Task:
        return self._news.with_token(token, to_timestamp(self._clock.now()), *results)
