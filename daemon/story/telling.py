"""The story of a task, told from its lines in the journal. Pure."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from daemon.story.documents import Event, Story
from daemon.story.happenings import happening
from daemon.words import Words
from daemon.words.actors import who
from daemon.words.recorded import recorded
from daemon.words.retelling import in_language
from ledger.shelf import decode_task
from ledger.task import Json, Task

#: Evidence that the sentence about the server's answer already tells.
_TOLD = {"sighting", "server", "failure", "graph"}

#: Reasons that say no more than the sentence about the server's answer.
_PLAIN = {
    recorded(key)
    for key in ("pending", "running", "history_success", "history_error", "history_interrupted")
}


class JournalLine(Protocol):
    """A change of a task as the journal tells it; ``task`` is the record after it, as JSON."""

    @property
    def seq(self) -> int: ...  # noqa: D102 - see the class
    @property
    def at(self) -> str: ...  # noqa: D102
    @property
    def actor(self) -> str: ...  # noqa: D102
    @property
    def op(self) -> str: ...  # noqa: D102
    @property
    def task(self) -> bytes | None: ...  # noqa: D102
    @property
    def reason(self) -> str | None: ...  # noqa: D102
    @property
    def evidence(self) -> Mapping[str, Json] | None: ...  # noqa: D102


def story_of(task: Task, lines: Sequence[JournalLine], words: Words) -> Story:
    """Return the story of *task*, whose journal has *lines*."""
    return Story(
        task_id=task.task_id,
        batch_id=task.batch_id,
        row_number=task.row_number,
        workflow_type=task.workflow_type,
        status=task.status,
        stage=task.stage,
        requested=task.requested,
        retry_count=task.retry_count,
        story=tell(lines, words),
    )


def tell(lines: Sequence[JournalLine], words: Words) -> list[Event]:
    """Return an event for each of a task's lines, which come oldest first."""
    events: list[Event] = []
    before: Task | None = None
    for line in lines:
        if line.task is None:
            continue
        after = decode_task(line.task)
        happened = happening(before, after, line.op)
        values = happened.values
        if "stage" in values:
            values = values | {"stage": words(f"stage.{values['stage']}")}
        if "kind" in values:
            values = values | {"kind": words.named("kind", str(values["kind"]))}
        if "state" in values:
            values = values | {"state": words.named("publish", str(values["state"]))}
        for name in ("reason", "message"):
            if name in values:
                values = values | {name: in_language(str(values[name]), words.language)}
        events.append(
            Event(
                seq=line.seq,
                at=line.at,
                actor=line.actor,
                who=who(line.actor, words),
                op=line.op,
                text=words(f"story.{happened.key}", **values),
                because=tuple(_because(line, words)),
                reason=line.reason,
                evidence=line.evidence,
            )
        )
        before = after
    return events


def _because(line: JournalLine, words: Words) -> list[str]:
    """Return the evidence and the reason as sentences."""
    evidence = line.evidence or {}
    sentences: list[str] = []
    sighting = evidence.get("sighting")
    if isinstance(sighting, str):
        server = evidence.get("server")
        sentences.append(words(f"story.sighting.{sighting}", server=server))
    if line.reason is not None and not (sentences and line.reason in _PLAIN):
        reason = in_language(line.reason, words.language)
        sentences.append(words("story.reason", reason=reason))
    if rest := {key: value for key, value in evidence.items() if key not in _TOLD}:
        between = "：" if words.language == "zh" else " = "
        told = ", ".join(
            f"{words.named('evidence', key)}{between}{_plain(value)}" for key, value in rest.items()
        )
        sentences.append(words("story.evidence", evidence=told))
    return sentences


def _plain(value: Json) -> str:
    if isinstance(value, list):
        return ", ".join(_plain(each) for each in value)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
