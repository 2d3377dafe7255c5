"""How many waiting rows could run, and what keeps the others from it: `check` reports it (pure)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from daemon.comfy.server import Json
from daemon.dispatch.preflight import NodeProblem, check_graph
from daemon.dispatch.values import BadValue
from daemon.dispatch.workflow import Template
from daemon.retrying import BAD_INPUT, MISSING_MODEL, MISSING_NODE, REJECTED
from daemon.words.recorded import recorded
from ledger.task import Task


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How many waiting rows could run; a row with several troubles counts for its first."""

    total: int
    ready: int
    troubles: dict[str, int]  # one of TROUBLES -> rows
    reasons: dict[str, int]  # full message, as records have it -> rows, the most frequent first


#: In the order in which they are told; each has its words under ``trouble.<kind>``.
TROUBLES = (
    "missing_picture",
    MISSING_MODEL.kind,
    MISSING_NODE.kind,
    BAD_INPUT.kind,
    REJECTED.kind,
    "no_workflow",
)


def check_rows(
    tasks: Iterable[Task],
    templates: Mapping[str, Template],
    problems: Mapping[str, Mapping[str, Sequence[NodeProblem]]],
    node_classes: Mapping[str, Mapping[str, Json]] | None = None,
) -> Report:
    """Return the report on waiting *tasks*; the two tasks of a two-stage row are one row.

    *problems* are those of each template's own graph: workflow type -> server -> problems. With
    *node_classes* (server -> its classes) the row's own values are judged too, as before a post.
    A row is ready when some server can run each of its tasks; without any server, only the row is
    judged.
    """
    rows: dict[str, tuple[str, str] | None] = {}
    best = {name: _of_best_server(by_server) for name, by_server in problems.items()}
    for task in tasks:
        template = templates.get(task.workflow_type)
        trouble = _trouble(task, template, best)
        if trouble is None and template is not None and node_classes:
            trouble = _refused(task, template, node_classes)
        rows[task.row_id] = rows.get(task.row_id) or trouble
    found = [trouble for trouble in rows.values() if trouble is not None]
    kinds = Counter(kind for kind, _ in found)
    return Report(
        total=len(rows),
        ready=len(rows) - len(found),
        troubles={kind: kinds[kind] for kind in TROUBLES if kinds[kind]},
        reasons=dict(Counter(message for _, message in found).most_common()),
    )


def _of_best_server(by_server: Mapping[str, Sequence[NodeProblem]]) -> Sequence[NodeProblem]:
    return min(by_server.values(), key=len, default=())


def _trouble(
    task: Task, template: Template | None, best: Mapping[str, Sequence[NodeProblem]]
) -> tuple[str, str] | None:
    """Return kind and message of the first thing that keeps the task from running, or None."""
    if template is None:
        return "no_workflow", recorded("no_workflow", type=task.workflow_type)
    if task.depends_on is None:  # else its picture is the one that stage one makes
        for column in sorted(template.picture_columns - task.inputs.keys()):
            return "missing_picture", recorded("no_picture", column=column)
    try:
        template.check_values(task.row)
    except BadValue as error:
        return BAD_INPUT.kind, str(error)
    for problem in best.get(task.workflow_type, ()):
        return problem.kind, problem.message
    return None


def _refused(
    task: Task, template: Template, node_classes: Mapping[str, Mapping[str, Json]]
) -> tuple[str, str] | None:
    """Return why every server would refuse the row's own values, or None when one takes them."""
    graph = template.fill(template.values_of(task.row), output_prefix=task.output_prefix)
    by_server = {name: check_graph(graph, classes) for name, classes in node_classes.items()}
    return next(((each.kind, each.message) for each in _of_best_server(by_server)), None)
