"""What the door is measured against: ``python -m tests.bench.http_peers LOOP FOLDER TASKS``.

LOOP is asyncio, as aiohttp's servers come, or uvloop, as the daemon runs.

``/empty`` answers nothing. ``/promised`` is the floor: for each change the name of the host and the
token are checked, a body would be JSON, the task is looked up and changed, the change is made
durable as ``PlainLedger`` does it, and the answer is JSON with the headers of every answer. Nobody
listens, nothing is counted, no plan is made, one language is spoken.
"""

import asyncio
import hmac
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import orjson
import uvloop
from aiohttp import web

from daemon.web.headers import OF_JSON
from ledger.status import Stage
from ledger.timestamps import to_timestamp
from tests.bench.plain_ledger import PlainLedger
from tests.fakes.records import task_record

TOKEN = "a-token-of-the-benchmark"
_HOSTS = ("127.0.0.1", "localhost")


class Promised:
    """Cancels waiting tasks: the promised work and nothing else."""

    def __init__(self, folder: Path, tasks: int) -> None:
        self._ledger = PlainLedger(folder / "promised")
        for number in range(1, tasks + 1):
            task = task_record(number)
            self._ledger.shown[task.task_id] = task

    async def cancel(self, request: web.Request) -> web.Response:
        if request.host.partition(":")[0] not in _HOSTS:
            raise web.HTTPMisdirectedRequest
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), TOKEN.encode()):
            raise web.HTTPUnauthorized
        if body := await request.read():
            orjson.loads(body)
        task = self._ledger.shown.get(request.match_info["task_id"])
        if task is None:
            raise web.HTTPNotFound
        cancelled = task.moved(Stage.CANCELLED, at=to_timestamp(datetime.now(UTC)))
        await self._ledger.commit(cancelled)
        return _respond(
            {
                "success": True,
                "changed": True,
                "message": f"{cancelled.task_id} is cancelled.",
                "task_id": cancelled.task_id,
                "status": cancelled.status,
                "stage": cancelled.stage,
                "requested": cancelled.requested,
            }
        )


async def _empty(_: web.Request) -> web.Response:
    return web.Response()


def _respond(answer: Mapping[str, object]) -> web.Response:
    return web.Response(body=orjson.dumps(answer), headers=OF_JSON)


async def main() -> None:
    """Serve both at a free port; the address and our process id are printed."""
    application = web.Application()
    promised = Promised(Path(sys.argv[2]), int(sys.argv[3]))
    application.router.add_post("/empty/api/tasks/{task_id}/cancel", _empty)
    application.router.add_post("/promised/api/tasks/{task_id}/cancel", promised.cancel)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"http://127.0.0.1:{runner.addresses[0][1]} {os.getpid()}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    (uvloop.run if sys.argv[1] == "uvloop" else asyncio.run)(main())
