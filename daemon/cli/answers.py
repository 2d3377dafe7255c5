"""What control answers, as text: one batch, and what a verb did."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from daemon.cli.invocation import Invocation
from daemon.cli.render import table
from daemon.cli.stages import COUNTS
from daemon.words import Words
from daemon.words.retelling import in_language
from daemon.words.values import local_time, printable
from ledger.task import Json, Task

if TYPE_CHECKING:  # verbs need not know what a batch looks like
    from daemon.web.batch_documents import BatchDocument


def batch(report: "BatchDocument", words: Words, *, last_failed: Task | None = None) -> str:
    """Return a batch with its counts, in all and by stage; of a failed one also why it failed."""
    title = words(
        "batch.title",
        batch=report.batch_id,
        name=report.name,
        status=words(f"batch.{report.status}"),
        at=local_time(report.created_at),
    )
    lines = [printable(title)]
    if report.rerun_of is not None:
        lines.append(words("batch.rerun_of", batch=report.rerun_of))
    if report.held is not None:
        lines.append(words("batch.held", held=words.named("kind", report.held)))
    if report.status == "failed" and last_failed is not None:
        error = in_language(last_failed.error_message or "", words.language)
        error = error or words.named("kind", last_failed.error_kind or "")
        why = words("batch.why_failed", task=last_failed.task_id, error=error)
        lines += [printable(why), words("batch.after_failure", batch=report.batch_id)]
    counts = report.statistics
    if not counts.rows:
        return "\n".join([*lines, words("batch.all_archived")])
    heads = [words(f"column.{name}") for name in ("stage", *COUNTS)]
    rows = [
        [name, *(getattr(inside, count) for count in COUNTS)]
        for name, inside in counts.stages.items()
        if inside.total
    ]
    if len(rows) > 1:
        rows.append(["", *(getattr(counts, count) for count in COUNTS)])
    return "\n".join([*lines, "", table(heads, rows)])


def tell(invocation: Invocation, document: Mapping[str, Json]) -> None:
    """Print what a verb answered: the document, or what it says in words."""
    if invocation.as_json:
        invocation.answer(document)
    else:
        invocation.show(answer(document, invocation.words))


def answer(document: Mapping[str, Json], words: Words) -> str:
    """Return what a verb answered: its message, and the counts when there are some."""
    lines = [printable(str(document.get("message", "")))]
    counts = document.get("statistics")
    if isinstance(counts, dict):
        shown = [f"{words(f'column.{name}')} {counts[name]}" for name in COUNTS if counts.get(name)]
        lines.append("  ".join(shown))
    return "\n".join(line for line in lines if line)
