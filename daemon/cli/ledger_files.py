"""What the read commands answer from the files of the ledger, when no daemon can be asked."""

from datetime import UTC, datetime

from config.settings import Settings
from daemon.cli.batch_names import batch_meant
from daemon.cli.concerns import (
    concerns_on_disk,
    daemon_runs,
    full_disk_concerns,
    starting_concerns,
)
from daemon.story.documents import Story
from daemon.story.telling import story_of
from daemon.web.batch_documents import BatchDocument, BatchesDocument
from daemon.web.documents import ServerDocument, ServersDocument
from daemon.web.paging import Wanted, look_back, look_through
from daemon.web.standing import batch_document, table_documents
from daemon.web.status_documents import Report
from daemon.web.summary import batch_reports, report, server_reports
from daemon.web.table_documents import TablesDocument
from daemon.web.task_documents import TaskPage
from daemon.words import Words
from ledger.errors import UnknownRecord
from ledger.jsondir.reader import find_task, history, read_index
from ledger.statistics import GpuSeconds
from ledger.steps import at_once
from ledger.task import Task


class LedgerFiles:
    """Answers as the daemon does; each answer reads the ledger anew."""

    def __init__(self, settings: Settings, words: Words) -> None:
        self._settings = settings
        self._path = settings.ledger.path
        self._words = words

    def status(self) -> Report:
        """Return how all stands."""
        settings, words = self._settings, self._words
        index = read_index(self._path, thorough=True)
        batches, now = [*batch_reports(index)], datetime.now(UTC)
        lying = concerns_on_disk(settings, index.meta("drops"), now)
        concerns = [*starting_concerns(settings), *full_disk_concerns(settings), *lying]
        runs = daemon_runs(settings)
        return report(index, batches, settings, now, words, concerns=concerns, daemon_runs=runs)

    def batches(self) -> BatchesDocument:
        """Return all batches."""
        reports = [*batch_reports(read_index(self._path))]
        return BatchesDocument(reports, daemon_runs=daemon_runs(self._settings))

    def batch(self, given: str) -> BatchDocument:
        """Return the batch that *given* means; raises UnknownRecord, ActionError for several."""
        index = read_index(self._path)
        found = index.batch(batch_meant(index.batches(), given))
        gpu_seconds = GpuSeconds.of(index.tasks(found.batch_id)).by_product()
        return batch_document(index, found, gpu_seconds=gpu_seconds)

    def failed(self, batch_id: str) -> list[Task]:
        """Return the tasks that failed and were not retried since, in the order of failing."""
        index = read_index(self._path)
        return [index.task(each) for each in index.failed_ids(batch_id)]

    def page(self, wanted: Wanted, limit: int, cursor: str | None) -> TaskPage:
        """Return up to *limit* of the wanted tasks behind *cursor*.

        Raises Refusal for a bad cursor, UnknownRecord for a batch that is not there.
        """
        page = at_once(look_through(read_index(self._path), wanted, limit, cursor))
        return TaskPage(page.tasks, page.next_cursor)

    def newest(self, wanted: Wanted, limit: int) -> TaskPage:
        """Return the newest *limit* of the wanted tasks; raises UnknownRecord likewise."""
        page = at_once(look_back(read_index(self._path), wanted, limit))
        return TaskPage(page.tasks, page.next_cursor)

    def story(self, task_id: str) -> Story:
        """Return what happened to a task, archived ones too; raises UnknownRecord."""
        task = find_task(self._path, task_id)
        if task is None:
            raise UnknownRecord("task", task_id)
        return story_of(task, history(self._path, task_id), self._words)

    def tables(self) -> TablesDocument:
        """Return how the tables stand."""
        index = read_index(self._path)
        return TablesDocument(table_documents(index, self._settings, self._words))

    def servers(self) -> ServersDocument:
        """Return the servers as the last daemon left them."""
        limits = {each.name: each.max_in_flight for each in self._settings.servers}
        return ServersDocument(
            [
                ServerDocument(
                    name=report.name,
                    url=report.url,
                    drained=report.drained,
                    reachable=report.reachable,
                    usable=bool(report.reachable and report.url) and report.why_not is None,
                    why_not=report.why_not,
                    version=report.version,
                    in_flight=report.in_flight,
                    max_in_flight=limits.get(report.name, 0),
                    queue_running=None,
                    queue_pending=None,
                    last_type=None,
                )
                for report in server_reports(read_index(self._path), self._settings)
            ],
            daemon_runs=daemon_runs(self._settings),
        )
