"""Every path of the door: who may call it, what it takes and what it answers."""

from daemon.story.documents import Story
from daemon.upkeep.status_check import StatusCheck
from daemon.upkeep.stuck import RecoveryResult
from daemon.web import (
    batches,
    diagnosis,
    events,
    files,
    jobs,
    openapi,
    page,
    probes,
    servers,
    tables,
    tasks,
    thumbnails,
)
from daemon.web.asked import (
    CheckQuery,
    JobBody,
    RecoveryQuery,
    RerunBody,
    RetryBody,
    RowsQuery,
    StopBody,
    TaskQuery,
)
from daemon.web.auth import Access
from daemon.web.batch_documents import (
    BatchDocument,
    BatchDone,
    BatchesDocument,
    FailedExecutions,
    RerunDone,
    RetriesDone,
)
from daemon.web.decoding import Nothing
from daemon.web.documents import Alive, JobDone, Readiness, ServerDone, ServersDocument, SessionDone
from daemon.web.endpoint import Endpoint, get, post
from daemon.web.status_documents import Report
from daemon.web.table_documents import ReconciliationDone, TablesDocument
from daemon.web.task_documents import (
    HistoryDocument,
    RetryDone,
    RowsPage,
    TaskDocument,
    TaskDone,
    TaskPage,
)

# fmt: off
ENDPOINTS: tuple[Endpoint, ...] = (
    get("/healthz", probes.healthz, "Is the process alive?",
        query=Nothing, answer=Alive, access=Access.OPEN),
    get("/readyz", probes.readyz, "Is work taken in and done? (503: not now)",
        query=Nothing, answer=Readiness),
    get("/api/status", probes.status, "Servers, batches, and what is on the servers now.",
        query=Nothing, answer=Report),
    get("/metrics", probes.metrics, "Numbers for Prometheus.",
        query=Nothing, media="text/plain"),
    get("/api/openapi.json", openapi.show, "This document.",
        query=Nothing, media="application/json"),
    post("/api/session", probes.begin_session, "Begin a session that is good for reading.",
         query=Nothing, body=Nothing, answer=SessionDone),

    get("/api/batches", batches.list_batches, "All batches with their counts.",
        query=Nothing, answer=BatchesDocument),
    get("/api/batches/{batch_id}", batches.show_batch, "One batch with its counts.",
        query=Nothing, answer=BatchDocument),
    get("/api/batches/{batch_id}/rows", batches.list_rows, "How its rows stand, briefly.",
        query=RowsQuery, answer=RowsPage),
    post("/api/batches/{batch_id}/pause", batches.pause, "Let running rows end, start no more.",
         query=Nothing, body=Nothing, answer=BatchDone),
    post("/api/batches/{batch_id}/resume", batches.resume, "Let the waiting rows run.",
         query=Nothing, body=Nothing, answer=BatchDone),
    post("/api/batches/{batch_id}/stop", batches.stop, "Like pause; queued prompts are taken back.",
         query=Nothing, body=StopBody, answer=BatchDone),
    post("/api/batches/{batch_id}/rerun", batches.rerun, "Run all its rows again as a new batch.",
         query=Nothing, body=RerunBody, answer=RerunDone, takes_key=True),
    get("/api/batches/{batch_id}/failed-executions", batches.failed_executions,
        "Its tasks that failed and were not retried since.",
        query=Nothing, answer=FailedExecutions),
    post("/api/batches/{batch_id}/retry-failed", batches.retry_failed, "Retry all of those.",
         query=Nothing, body=Nothing, answer=RetriesDone, takes_key=True),
    post("/api/batches/{batch_id}/executions/{task_id}/retry", tasks.retry_execution,
         "Retry one of those.",
         query=Nothing, body=RetryBody, answer=RetryDone, takes_key=True),

    get("/api/tasks", tasks.list_tasks, "Tasks in the order of their acceptance, page by page.",
        query=TaskQuery, answer=TaskPage),
    get("/api/tasks/{task_id}", tasks.show_task, "One task in full, with family and history.",
        query=Nothing, answer=TaskDocument),
    get("/api/tasks/{task_id}/history", tasks.show_history, "Every change of a task.",
        query=Nothing, answer=HistoryDocument),
    get("/api/tasks/{task_id}/story", tasks.tell_story, "What happened to it, in sentences.",
        query=Nothing, answer=Story),
    post("/api/tasks/{task_id}/retry", tasks.retry, "Run a failed or cancelled row again.",
         query=Nothing, body=RetryBody, answer=RetryDone, takes_key=True),
    post("/api/tasks/{task_id}/cancel", tasks.cancel, "End a task; exactly this one.",
         query=Nothing, body=Nothing, answer=TaskDone),
    post("/api/jobs", jobs.submit, "Accept rows, through the same door as the inbox.",
         query=Nothing, body=Nothing, answer=JobDone, takes_key=True, streamed=JobBody),

    get("/api/diagnosis/tasks/status-check", diagnosis.status_check,
        "How every task in process really stands; changes nothing.",
        query=CheckQuery, answer=StatusCheck),
    post("/api/diagnosis/tasks/recovery", diagnosis.recovery,
         "Set right what is stuck; the ledger is backed up first.",
         query=RecoveryQuery, body=Nothing, answer=RecoveryResult),

    get("/api/servers", servers.list_servers, "The ComfyUI servers and how they are.",
        query=Nothing, answer=ServersDocument),
    post("/api/servers/{server}/drain", servers.drain, "Give a server no more work.",
         query=Nothing, body=Nothing, answer=ServerDone),
    post("/api/servers/{server}/resume", servers.resume, "Give it work again.",
         query=Nothing, body=Nothing, answer=ServerDone),

    get("/api/tables", tables.list_tables, "The tables and what they were not told.",
        query=Nothing, answer=TablesDocument),
    post("/api/tables/reconcile", tables.reconcile,
         "Put right every cell that differs from the ledger.",
         query=Nothing, body=Nothing, answer=ReconciliationDone),

    get("/api/events", events.events, "What happens, as it happens (server-sent events).",
        query=Nothing, media="text/event-stream"),
    get("/outputs/{task_id}/{index}", files.output, "A result file; index 0 is the first.",
        query=Nothing, media="application/octet-stream"),
    get("/thumbs/{task_id}/{index}", thumbnails.of_output, "A small picture of a result file.",
        query=Nothing, media="image/*"),
    get("/inputs/{task_id}/{column}", files.input_picture, "The picture of an input column.",
        query=Nothing, media="application/octet-stream"),
    get("/thumbs/{task_id}/inputs/{column}", thumbnails.of_input,
        "A small picture of an input column's picture.", query=Nothing, media="image/*"),

    get("/", page.index, "The dashboard.", query=Nothing, media="text/html", access=Access.OPEN),
    get("/static/{file}", page.part, "A script, style or icon of the dashboard.",
        query=Nothing, media="*/*", access=Access.OPEN),
)
# fmt: on
