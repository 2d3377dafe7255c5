"""``/api/jobs`` of the newer generation: the same prompts, seen as jobs."""

from collections.abc import Iterator

from aiohttp import web

from daemon.comfy.server import Json
from daemon.comfy.simulator.answers import json_answer
from daemon.comfy.simulator.machine import Machine
from daemon.comfy.simulator.prompt import Prompt
from daemon.comfy.simulator.queue import Finished

_STATUSES = ("pending", "in_progress", "completed", "failed", "cancelled")


class Jobs:
    """Lists, shows and cancels jobs."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def list_jobs(self, request: web.Request) -> web.Response:
        """List jobs, newest first: by ``status``, ``limit`` of them from ``offset`` on."""
        query = request.rel_url.query
        wanted = [part for part in query.get("status", "").split(",") if part]
        try:
            limit = int(query["limit"]) if "limit" in query else None
            offset = int(query.get("offset", "0"))
        except ValueError:
            return json_answer({"error": "limit and offset must be integers"}, 400)
        if any(status not in _STATUSES for status in wanted):
            return json_answer({"error": f"Invalid status value(s): {', '.join(wanted)}"}, 400)
        found = [job for job in self._all() if not wanted or job["status"] in wanted]
        found.sort(key=_created, reverse=True)
        end = len(found) if limit is None else offset + limit
        page: list[Json] = [*found[offset:end]]
        pagination: dict[str, Json] = {
            "offset": offset,
            "limit": limit,
            "total": len(found),
            "has_more": end < len(found),
        }
        return json_answer({"jobs": page, "pagination": pagination})

    async def get_job(self, request: web.Request) -> web.Response:
        """Show one job in full; 404 for an unknown one."""
        job_id, queue = request.match_info["job_id"], self._machine.queue
        for job in self._waiting():
            if job["id"] == job_id:
                return json_answer(job)
        finished = queue.history.get(job_id)
        if finished is None:
            return json_answer({"error": "Job not found"}, 404)
        listed = finished.listed()
        graph: Json = dict(finished.prompt.graph)
        more: dict[str, Json] = {
            "outputs": listed["outputs"],
            "execution_status": listed["status"],
            "workflow": {"prompt": graph, "extra_data": finished.prompt.extra_data},
        }
        return json_answer(_finished_job(finished) | more)

    async def cancel(self, request: web.Request) -> web.Response:
        """Take a job out of the queue or interrupt it; false when it does neither wait nor run."""
        job_id, queue = request.match_info["job_id"], self._machine.queue
        running = queue.running is not None and queue.running.prompt_id == job_id
        if running:
            self._machine.interrupted.set()
        return json_answer({"cancelled": running or queue.delete(job_id)})

    def _all(self) -> list[dict[str, Json]]:
        finished = [_finished_job(entry) for entry in self._machine.queue.history.values()]
        return self._waiting() + finished

    def _waiting(self) -> list[dict[str, Json]]:
        queue = self._machine.queue
        running = [_job(queue.running, "in_progress")] if queue.running else []
        return running + [_job(prompt, "pending") for prompt in queue.pending]


def _job(prompt: Prompt, status: str) -> dict[str, Json]:
    return {
        "id": prompt.prompt_id,
        "status": status,
        "priority": prompt.listed()[0],
        "create_time": prompt.extra_data.get("create_time"),
        "outputs_count": 0,
        "previewable_outputs_count": 0,
    }


def _finished_job(entry: Finished) -> dict[str, Json]:
    messages = dict(entry.outcome.messages)
    last_event, last = entry.outcome.messages[-1]
    status = {"execution_error": "failed", "execution_interrupted": "cancelled"}.get(last_event)
    job = _job(entry.prompt, status or "completed")
    job["execution_start_time"] = messages["execution_start"]["timestamp"]
    job["execution_end_time"] = last["timestamp"]
    if last_event == "execution_error":
        job["execution_error"] = last
    files = list(_files(entry.outcome.outputs))
    job["outputs_count"] = job["previewable_outputs_count"] = len(files)
    if files:
        job["preview_output"] = files[-1]
    return job


def _files(outputs: dict[str, Json]) -> Iterator[Json]:
    """Yield every file of the outputs with its node and kind."""
    for node_id, report in outputs.items():
        for kind, listed in report.items() if isinstance(report, dict) else ():
            for file in listed if isinstance(listed, list) else ():
                if isinstance(file, dict):
                    yield {**file, "nodeId": node_id, "mediaType": kind}


def _created(job: dict[str, Json]) -> float:
    created = job["create_time"]
    return created if isinstance(created, int | float) else 0.0
