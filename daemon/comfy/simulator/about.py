"""``/object_info``, ``/system_stats``, ``/features``: what the server says of itself."""

import asyncio
import os
import sys

import msgspec
from aiohttp import web

from daemon.comfy.server import Json
from daemon.comfy.simulator.answers import json_answer
from daemon.comfy.simulator.files import UPLOAD_LIMIT_BYTES
from daemon.comfy.simulator.folders import input_files
from daemon.comfy.simulator.machine import Machine
from daemon.comfy.simulator.nodetypes import NodeType


class About:
    """Describes the simulated server."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def object_info(self, request: web.Request) -> web.Response:
        """Describe every node class."""
        files = await asyncio.to_thread(input_files, self._machine.folder)
        return json_answer({n: self._node(t, files) for n, t in self._machine.types.items()})

    async def one_object_info(self, request: web.Request) -> web.Response:
        """Describe one node class; an empty object for an unknown one."""
        name = request.match_info["node_class"]
        node_type = self._machine.types.get(name)
        if node_type is None:
            return json_answer({})
        files = await asyncio.to_thread(input_files, self._machine.folder)
        return json_answer({name: self._node(node_type, files)})

    async def system_stats(self, request: web.Request) -> web.Response:
        """Tell version and memory."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        modern = self._machine.generation.modern
        system: dict[str, Json] = {
            "os": sys.platform if modern else os.name,
            "ram_total": memory,
            "ram_free": memory // 2,
            "comfyui_version": self._machine.generation.version,
            "required_frontend_version": "1.49.6" if modern else "1.27.10",
            "installed_templates_version": None,
            "required_templates_version": "0.11.44" if modern else "0.1.95",
            "python_version": sys.version,
            "pytorch_version": "none: this is rowkeeper's simulator",
            "embedded_python": False,
            "argv": ["main.py"],
        }
        if modern:
            package: dict[str, Json] = {"name": "rowkeeper-simulator"}
            package |= {"installed": "0", "required": "0"}
            system |= {"comfy_package_versions": [package], "deploy_environment": "local-git"}
        device: dict[str, Json] = {"name": "cpu", "type": "cpu", "index": None}
        for kind in ("vram", "torch_vram"):
            device |= {f"{kind}_total": memory, f"{kind}_free": memory // 2}
        return json_answer({"system": system, "devices": [device]})

    async def features(self, request: web.Request) -> web.Response:
        """Tell what the server can do beyond the basics."""
        return json_answer(features(modern=self._machine.generation.modern))

    def _node(self, node_type: NodeType, files: list[str]) -> Json:
        if node_type.name == "LoadImage":
            field = msgspec.structs.replace(node_type.fields["image"], choices=tuple(files))
            node_type = msgspec.structs.replace(node_type, fields={"image": field})
        return node_type.described(modern=self._machine.generation.modern)


def features(*, modern: bool) -> dict[str, Json]:
    """Return what ``/features`` and the websocket's greeting say."""
    known: dict[str, Json] = {
        "supports_preview_metadata": True,
        "max_upload_size": UPLOAD_LIMIT_BYTES,
    }
    if modern:
        known["supports_model_type_tags"] = True
        known["extension"] = {"manager": {"supports_v4": True}}
        known |= {"node_replacements": True, "assets": False}
    return known
