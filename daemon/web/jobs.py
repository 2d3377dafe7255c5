"""Rows by HTTP: the same intake as the inbox has."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
from aiohttp import web

from daemon.intake.candidates import Drop
from daemon.intake.deciding import Receipt
from daemon.intake.errors import Postponed, Unreadable
from daemon.intake.jobfile import MAX_JOB_FILE_BYTES, read_job_file
from daemon.intake.rows import RefusedRow
from daemon.web.asked import JobBody
from daemon.web.decoding import Nothing, bad_body, decode_body, looked_into
from daemon.web.documents import JobDone, Refused
from daemon.web.endpoint import Call
from daemon.web.idempotency import fingerprint, key_in
from daemon.web.limits import read_body
from daemon.web.refusal import FieldProblem, Refusal
from daemon.web.uploads import Upload, new_folder, receive
from daemon.words import LANGUAGES, Words
from daemon.words.retelling import OBSTACLES, in_each_language
from ledger.entry import Meta
from ledger.task import Json

UPLOADS = "uploads"
#: Rows and ids that an answer lists; all are counted.
LISTED = 1000
_NO_JOB = 'must be one row as a JSON object, a list of rows, or {"rows": […]}'


async def submit(call: Call[Nothing, Nothing]) -> dict[str, Json]:
    """Accept the good rows of a JSON body, or of a job file with pictures (multipart).

    Raises Refusal when none of the rows can be taken; nothing was recorded then. A crash leaves
    at most a folder of pictures, which the next start removes.
    """
    key = key_in(call.request.headers)
    async with call.room.answers.one_at_a_time(key):
        root = call.desk.settings.state_dir / UPLOADS
        try:
            folder = await asyncio.to_thread(new_folder, root)
        except OSError as error:
            raise _no_room(error) from error
        try:
            return await _decide(call, await _received(call.request, folder), key)
        except ConnectionError:
            raise  # the client went away; that says nothing of our disk
        except (OSError, Postponed) as error:
            raise _no_room(error) from error
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _received(request: web.BaseRequest, folder: Path) -> Upload:
    match request.content_type:
        case "multipart/form-data":
            return await receive(request, folder)
        case "application/json":
            raw = await read_body(request, MAX_JOB_FILE_BYTES)
            return await asyncio.to_thread(_from_json, raw, folder)
        case other:
            raise Refusal("unsupported_media", 415, given=other)


def _from_json(raw: bytes, folder: Path) -> Upload:
    match looked_into(raw) if raw.strip() else {}:
        case list():  # the rows alone, or one alone, as a job file may hold them
            raw = b'{"rows":%b}' % raw
        case {"rows": _}:
            pass
        case dict() as row if row:
            raw = b'{"rows":[%b]}' % raw
        case None:
            raise bad_body([FieldProblem("", _NO_JOB)])
    body = decode_body(raw, JobBody)
    return Upload(
        name=f"{body.name}.json",
        job=raw,
        folder=folder,
        sha256=fingerprint("", "", body),
    )


async def _decide(call: Call[Nothing, Nothing], upload: Upload, key: str | None) -> dict[str, Json]:
    answers, intake, words = call.room.answers, call.desk.intake, call.words
    asked = fingerprint("POST", call.request.path, upload.name, upload.sha256)
    if (given := answers.find(key, asked)) is not None:
        return given
    known = intake.known_columns
    try:
        job = await asyncio.to_thread(read_job_file, upload.name, upload.job, known)
    except Unreadable as error:
        why: Json = {each: error.reason.text(words.into(each)) for each in LANGUAGES}
        raise Refusal("unreadable_job", 400, name=upload.name, what=why) from error
    drop = Drop(
        name=upload.name,
        kind="api",
        rows=job.rows,
        pictures_in=upload.folder,
        options=job.options,
    )

    async def also(receipt: Receipt) -> Sequence[Meta]:
        return (
            () if _has_no_good_row(receipt) else answers.records(key, asked, _told(receipt, words))
        )

    words = words.about(job.headings)
    receipt = await intake.accept(drop, also)
    answer = _told(receipt, words)
    if _has_no_good_row(receipt):
        listed = answer["rejected"]
        raise Refusal("no_good_row", 400, count=len(receipt.rejected), rejected=listed)
    return answer


def _has_no_good_row(receipt: Receipt) -> bool:
    return bool(receipt.rejected) and not (receipt.accepted_rows or receipt.duplicates)


def _told(receipt: Receipt, words: Words) -> dict[str, Json]:
    counts = {
        "accepted": receipt.accepted_rows,
        "rejected": len(receipt.rejected),
        "duplicates": len(receipt.duplicates),
    }
    document = JobDone(
        success=True,
        changed=receipt.accepted_rows > 0,
        message=words("web.job_decided", **counts),
        batch_id=receipt.batch_id if receipt.accepted_rows else None,
        accepted_rows=receipt.accepted_rows,
        rejected_rows=counts["rejected"],
        duplicate_rows=counts["duplicates"],
        task_ids=list(receipt.task_ids[:LISTED]),
        rejected=_listed(receipt.rejected, words),
        duplicates=_listed(receipt.duplicates, words),
    )
    told: dict[str, Json] = msgspec.to_builtins(document)
    return told


def _listed(rows: Sequence[RefusedRow], words: Words) -> list[Refused]:
    return [Refused(row.line, row.text(words)) for row in rows[:LISTED]]


def _no_room(error: Exception) -> Refusal:
    what: Json = dict[str, Json](in_each_language(str(error), OBSTACLES))
    return Refusal("cannot_store", 503, headers={"Retry-After": "30"}, what=what)
