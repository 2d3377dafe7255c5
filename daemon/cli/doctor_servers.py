"""What `check` finds with templates and servers: who answers, and who can run what."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from config.settings import Server, Settings
from daemon.cli.check_line import CheckLine, Level
from daemon.clock import SystemClock
from daemon.comfy.client import ComfyClient
from daemon.comfy.server import AnswerLost, Json, Refused, Unreachable
from daemon.dispatch.preflight import NodeProblem, check_graph
from daemon.dispatch.row_report import check_rows
from daemon.dispatch.templates import TemplateError, parse
from daemon.dispatch.workflow import Template
from daemon.words import Words
from daemon.words.retelling import in_language
from ledger.state import State
from ledger.status import Stage

_ANSWER_SECONDS = 20.0
_REASONS_SHOWN = 5


class Answer(msgspec.Struct, frozen=True):
    """What a server said; without *node_classes* it can get no work."""

    line: CheckLine
    node_classes: Mapping[str, Json] | None = None


def load_templates(settings: Settings, words: Words) -> tuple[dict[str, Template], list[CheckLine]]:
    """Return the templates that can be used, and a line for each workflow or its problems."""
    templates, lines = dict[str, Template](), list[CheckLine]()
    for name, workflow in settings.workflows.items():
        try:
            templates[name] = Template.load(name, workflow)
        except TemplateError as error:
            lines += [
                CheckLine(
                    level="fail", name=each.key, message=each.text(words.language), is_config=True
                )
                for each in error.problems
            ]
        else:
            message = words("check.workflow_ok", path=workflow.template)
            lines.append(CheckLine(level="ok", name=f"workflow {name}", message=message))
    return templates, lines


async def ask_servers(settings: Settings, words: Words) -> dict[str, Answer]:
    """Ask every server at once how it is and which node classes it has."""
    answers = await asyncio.gather(*(_ask(server, words) for server in settings.servers))
    return {server.name: each for server, each in zip(settings.servers, answers, strict=True)}


async def _ask(server: Server, words: Words) -> Answer:
    name = f"server {server.name}"
    client = ComfyClient(server.name, server.url, clock=SystemClock(), headers=server.headers)
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            health = await client.health()
            if not health.usable:
                reason = health.why_not or health.version
                old = in_language(reason, words.language)
                message = words("check.server_old", url=server.url, reason=old)
                return Answer(CheckLine(level="fail", name=name, message=message))
            node_classes = await client.node_classes()
    except (Unreachable, AnswerLost, Refused, TimeoutError) as error:
        late = words("check.server_silent", url=server.url, seconds=_ANSWER_SECONDS)
        reason = in_language(str(error), words.language) or late
        message = words("check.server_down", reason=reason)
        return Answer(CheckLine(level="fail", name=name, message=message))
    finally:
        await client.close()
    message = words("check.server_ok", url=server.url, version=health.version)
    return Answer(CheckLine(level="ok", name=name, message=message), node_classes)


def judge(
    templates: Mapping[str, Template], answers: Mapping[str, Answer]
) -> dict[str, dict[str, list[NodeProblem]]]:
    """Return why servers that answered cannot run a workflow: type -> server -> reasons."""
    able = _classes_by_server(answers)
    return {
        workflow_type: {
            server: check_graph(parse(template.source, workflow_type), node_classes)
            for server, node_classes in able.items()
        }
        for workflow_type, template in templates.items()
    }


def _classes_by_server(answers: Mapping[str, Answer]) -> dict[str, Mapping[str, Json]]:
    return {
        name: answer.node_classes
        for name, answer in answers.items()
        if answer.node_classes is not None
    }


def look_at_workflows(
    judged: Mapping[str, Mapping[str, Sequence[NodeProblem]]], words: Words
) -> Iterator[CheckLine]:
    """Yield for each workflow who can run it; that nobody can is a failure."""
    for workflow_type, by_server in judged.items():
        name = f"workflow {workflow_type}"
        for server, reasons in by_server.items():
            if not reasons:
                message = words("check.server_runs", server=server)
                yield CheckLine(level="ok", name=name, message=message)
            for each in reasons:
                reason = in_language(each.message, words.language)
                message = words("check.server_cannot", server=server, reason=reason)
                yield CheckLine(level="warn", name=name, message=message)
        if by_server and all(by_server.values()):
            yield CheckLine(level="fail", name=name, message=words("check.nobody_runs"))


def look_at_rows(
    state: State,
    templates: Mapping[str, Template],
    judged: Mapping[str, Mapping[str, Sequence[NodeProblem]]],
    answers: Mapping[str, Answer],
    words: Words,
) -> Iterator[CheckLine]:
    """Yield how many waiting rows could run, and what keeps the others from it."""
    waiting = [task for task in state.tasks.values() if task.stage is Stage.WAITING]
    if not waiting:
        yield CheckLine(level="ok", name="rows", message=words("check.rows_none"))
        return
    report = check_rows(waiting, templates, judged, _classes_by_server(answers))
    parts = [words("check.rows", ready=report.ready, total=report.total)]
    parts += [
        words("check.rows_of", count=count, what=words(f"trouble.{trouble}"))
        for trouble, count in report.troubles.items()
    ]
    level: Level = "ok" if report.ready == report.total else "warn"
    yield CheckLine(level=level, name="rows", message=words("check.comma").join(parts))
    for reason, count in list(report.reasons.items())[:_REASONS_SHOWN]:
        told = in_language(reason, words.language)
        yield CheckLine(level="warn", name="rows", message=f"{count} × {told}")
