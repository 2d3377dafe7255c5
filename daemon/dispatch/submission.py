"""One task into one server: the intent in the ledger, the post, the answer in the ledger.

The protocol that keeps it to one GPU run a task: what is posted stands in the ledger first
(server, prompt id, graph hash); a lost answer is never repeated blindly but settled from evidence
(``Settlement``); only when queue, history and output folder all deny it is the very same graph
posted again, marked ``possible_duplicate``.
"""

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Mapping

import msgspec
import structlog

from config.settings import Workflow
from daemon.clock import Clock
from daemon.comfy.server import AnswerLost, Graph, Refused, Unreachable
from daemon.dispatch.pictures import FilesGone, TaskFiles, pictures_of, upload
from daemon.dispatch.preflight import NodeProblem, Preflight
from daemon.dispatch.servers import ServerState
from daemon.dispatch.workflow import Template, graph_sha256
from daemon.retrying import BAD_INPUT, REJECTED
from daemon.settle.failure import after_failure, waiting_again
from daemon.settle.settlement import ticket_of
from daemon.words.recorded import recorded, together
from ledger.errors import Conflict
from ledger.ledger import Ledger
from ledger.status import Stage
from ledger.task import Json, Task
from ledger.timestamps import to_timestamp

log = structlog.get_logger()

#: Posts of one prompt that a living server may answer with an error before the prompt is blamed
#: (0.33.0 answers 500 to some broken graphs).
MAX_POSTS_AGAIN = 5


class CannotRun(Exception):
    """This server cannot run the task; another one may."""

    def __init__(self, problems: list[NodeProblem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.kind = problems[0].kind


class Submission:
    """Submits tasks, and submits them again when nobody can know whether they arrived."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        workflows: Mapping[str, Workflow],
        templates: Mapping[str, Template],
        files: TaskFiles,
    ) -> None:
        self._log = log.bind()  # the module's own is made anew for each line
        self._ledger = ledger
        self._clock = clock
        self._workflows = workflows
        self._templates = templates
        # No secrets come of it. The system's own generator lets go of the interpreter's lock for
        # each number, and the loop then waits for a thread to give it back.
        self._random = random.Random()
        self._posts: Counter[str] = Counter()  # of tasks posted again
        self._files = files
        self._preflights: dict[tuple[str, str], Preflight] = {}  # by server and workflow type

    async def submit(self, task: Task, state: ServerState) -> None:
        """Submit a waiting *task* to a server that takes work.

        Raises CannotRun, and LedgerGone when files are missing since the ledger's folder was moved,
        with nothing posted and the task unchanged. A kill leaves it waiting
        (inputs may be uploaded: harmless), or ``submitting`` (settled at the next start).
        """
        try:
            prepared, graph = await self._prepare(task, state)
        except (FilesGone, ValueError) as error:
            await asyncio.to_thread(self._ledger.prove_there)  # or the files are where it is
            await self._ledger.commit(
                self._failed(task, BAD_INPUT.kind, str(error)), op="task.refused"
            )
            return
        except Refused as error:
            await self._refused(task, state, error)
            return
        await self._ledger.commit(
            prepared, op="task.submitting", evidence={"server": state.name, "graph": "filled"}
        )
        await self._post(prepared, graph, state)

    async def submit_again(self, task: Task, state: ServerState) -> None:
        """Post the very same prompt once more after nobody knew it; marks the task first.

        When the template changed since, the same graph cannot be made: a new attempt, marked too.
        """
        at = to_timestamp(self._clock.now())
        template = self._templates[task.workflow_type]
        graph = template.fill(task.parameters, output_prefix=task.output_prefix)
        reason = recorded("absent_anywhere")
        self._posts[task.task_id] += 1
        if self._posts[task.task_id] > MAX_POSTS_AGAIN:
            del self._posts[task.task_id]
            message = recorded("not_taken_in", count=MAX_POSTS_AGAIN + 1)
            await self._ledger.commit(
                self._failed(task, REJECTED.kind, message), op="task.refused", reason=reason
            )
            return
        if graph_sha256(graph) != task.graph_sha256:
            again = waiting_again(task, at=at, possible_duplicate=True)
            why = together(reason, recorded("template_changed"))
            await self._ledger.commit(again, op="task.given_up", reason=why)
            return
        marked = task.changed(at=at, possible_duplicate=True)
        await self._ledger.commit(marked, op="task.submitting_again", reason=reason)
        log.warning("task.submitted_again", task=task.task_id, server=state.name, reason=reason)
        await self._post(marked, graph, state)
        ticket = ticket_of(marked)
        sighting = (await state.client.look_up([ticket]))[ticket.prompt_id]
        if sighting.copies > 1:  # the first post was only late
            await state.client.delete_pending_copy(ticket)

    async def _post(self, task: Task, graph: Graph, state: ServerState) -> None:
        client_id = state.memory.client_id or ""
        try:
            await state.client.submit(graph, ticket_of(task), client_id)
        except Refused as error:
            await self._refused(task, state, error)
        except Unreachable as error:
            state.lost()
            if not task.possible_duplicate:  # else the first post may still show up
                at = to_timestamp(self._clock.now())
                await self._ledger.commit(
                    waiting_again(task, at=at), op="task.not_sent", reason=str(error)
                )
        except AnswerLost as error:  # stays submitting; the lane settles it from evidence
            log.warning("task.answer_lost", task=task.task_id, server=state.name, error=str(error))
        else:
            queued = task.moved(Stage.QUEUED, at=to_timestamp(self._clock.now()))
            try:
                await self._ledger.commit(queued, op="task.queued")
            except Conflict:  # who looked meanwhile saw it first, or wants it gone
                log.info("task.changed_meanwhile", task=task.task_id)
            state.ran(task.workflow_type)
            self._posts.pop(task.task_id, None)
            self._log.info(
                "task.submitted", task=task.task_id, batch=task.batch_id, server=state.name
            )

    async def _refused(self, task: Task, state: ServerState, error: Refused) -> None:
        """Write down a refusal: by the server's fault waiting again, else failed."""
        at = to_timestamp(self._clock.now())
        log.warning(
            "task.refused", task=task.task_id, server=state.name, kind=error.kind, error=str(error)
        )
        state.uploaded.clear()  # it may have been emptied; the next attempt uploads anew
        state.client.forget()  # and the next preflight sees what it has now
        after = after_failure(
            task,
            error.kind,
            str(error),
            at=at,
            max_auto_retries=self._workflows[task.workflow_type].max_auto_retries,
        )
        await self._ledger.commit(after, op="task.refused", reason=str(error))

    def _failed(self, task: Task, kind: str, message: str) -> Task:
        at = to_timestamp(self._clock.now())
        return task.moved(Stage.FAILED, at=at, error_kind=kind, error_message=message)

    async def _prepare(self, task: Task, state: ServerState) -> tuple[Task, Graph]:
        """Return the task as it will stand when submitted, and its graph; uploads the inputs."""
        template = self._templates[task.workflow_type]
        prompt_id = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        attempt = msgspec.structs.replace(task, attempt=task.attempt + 1, comfyui_task_id=prompt_id)
        pictures = pictures_of(task, template, self._files, self._ledger)
        parameters = template.parameters_for(_columns_of(task), self._random)
        wanted = {column: picture.upload_name for column, picture in pictures.items()}
        graph = template.fill(parameters | wanted, output_prefix=attempt.output_prefix)
        if problems := (await self._preflight(template, graph, state)).problems(graph):
            raise CannotRun(problems)
        names = await upload(pictures, state)
        parameters |= names
        if names != wanted:
            graph = template.fill(parameters, output_prefix=attempt.output_prefix)
        at = to_timestamp(self._clock.now())
        prepared = attempt.moved(
            Stage.SUBMITTING,
            at=at,
            server=state.name,
            not_before=None,
            blocked_by=None,
            error_kind=None,
            error_message=None,
            inputs=task.inputs | {column: picture.file for column, picture in pictures.items()},
            parameters=parameters,
            graph_sha256=graph_sha256(graph),
            metadata=msgspec.structs.replace(
                task.metadata,
                processing_start_time=task.metadata.processing_start_time or at,
                template_sha256=template.sha256,
                adopted=False,
            ),
        )
        return prepared, graph

    async def _preflight(self, template: Template, graph: Graph, state: ServerState) -> Preflight:
        """Return what checks the template's graphs for this server, as both are now."""
        node_classes = await state.client.node_classes()
        key = (state.name, template.workflow_type)
        known = self._preflights.get(key)
        if known is None or not known.is_of(template, node_classes):
            known = self._preflights[key] = Preflight(template, node_classes, graph)
        return known


def _columns_of(task: Task) -> dict[str, Json]:
    """Return all columns of the task's row, those that have fields of their own among them."""
    own: dict[str, Json] = {
        "row_number": task.row_number,
        "product_name": task.product_name,
        "model_name": task.model_name,
    }
    return own | task.row
