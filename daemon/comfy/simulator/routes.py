"""All routes of the simulated server, in one list."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from daemon.comfy.simulator.about import About
from daemon.comfy.simulator.answers import Broken, broken_answer
from daemon.comfy.simulator.control import Control
from daemon.comfy.simulator.files import UPLOAD_LIMIT_BYTES, Files
from daemon.comfy.simulator.jobs import Jobs
from daemon.comfy.simulator.machine import Machine
from daemon.comfy.simulator.prompts import Prompts
from daemon.comfy.simulator.websocket import Websocket

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(machine: Machine) -> web.Application:
    """Return the application that serves *machine*."""
    app = web.Application(client_max_size=UPLOAD_LIMIT_BYTES, middlewares=[_stumble])
    for method, path, handler in _comfyui(machine):
        _add(app, method, path, handler)
        _add(app, method, f"/api{path}", handler)
    for method, path, handler in [*_newer(machine), *_own(machine)]:
        _add(app, method, path, handler)
    app.router.add_get("/{tail:.*}", _nothing)
    return app


def _comfyui(machine: Machine) -> list[tuple[str, str, _Handler]]:
    """Return the routes of both generations; each is served under ``/api`` too."""
    prompts, files, about = Prompts(machine), Files(machine), About(machine)
    return [
        ("GET", "/ws", Websocket(machine).listen),
        ("GET", "/prompt", prompts.get_prompt),
        ("POST", "/prompt", prompts.post_prompt),
        ("GET", "/queue", prompts.get_queue),
        ("POST", "/queue", prompts.post_queue),
        ("GET", "/history", prompts.get_history),
        ("POST", "/history", prompts.post_history),
        ("GET", "/history/{prompt_id}", prompts.get_one_history),
        ("POST", "/interrupt", prompts.interrupt),
        ("POST", "/free", prompts.free),
        ("GET", "/view", files.view),
        ("POST", "/upload/image", files.upload_image),
        ("GET", "/internal/files/{kind}", files.list_files),
        ("GET", "/object_info", about.object_info),
        ("GET", "/object_info/{node_class}", about.one_object_info),
        ("GET", "/system_stats", about.system_stats),
        ("GET", "/features", about.features),
    ]


def _newer(machine: Machine) -> list[tuple[str, str, _Handler]]:
    """Return the routes that only the newer generation has."""
    jobs = Jobs(machine)
    if not machine.generation.modern:
        return []
    return [
        ("GET", "/api/jobs", jobs.list_jobs),
        ("GET", "/api/jobs/{job_id}", jobs.get_job),
        ("POST", "/api/jobs/{job_id}/cancel", jobs.cancel),
    ]


def _own(machine: Machine) -> list[tuple[str, str, _Handler]]:
    """Return the simulator's own routes, which no ComfyUI has."""
    control = Control(machine)
    return [
        ("GET", "/simulator/faults", control.get_faults),
        ("POST", "/simulator/faults", control.post_faults),
        ("GET", "/simulator/executions", control.get_executions),
        ("POST", "/simulator/restart", control.post_restart),
    ]


def _add(app: web.Application, method: str, path: str, handler: _Handler) -> None:
    if method == "GET":
        app.router.add_get(path, handler)  # HEAD comes with it
    else:
        app.router.add_route(method, path, handler)


async def _nothing(_request: web.Request) -> web.Response:
    return web.Response(status=404)


@web.middleware
async def _stumble(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Broken:
        return broken_answer()
