"""Somebody who uses a ComfyUI server over HTTP, as the tests of the simulator need it."""

import asyncio
import io
import uuid

import aiohttp
from PIL import Image


class User:
    """Requests to one server; ids are made here."""

    def __init__(self, url, session):
        self.url, self.session = url, session

    async def get(self, path, **more):
        async with self.session.get(self.url + path, **more) as answer:
            return await answer.json()

    async def post(self, path, body):
        async with self.session.post(self.url + path, json=body) as answer:
            return answer.status, await answer.read()

    async def upload(self, name, picture):
        form = aiohttp.FormData()
        form.add_field("image", png(picture), filename=name)
        async with self.session.post(f"{self.url}/upload/image", data=form) as answer:
            return (await answer.json())["name"]

    async def submit(self, graph, *, task_id=None, attempt=1, client_id="user", prompt_id=None):
        """Queue a graph and return its prompt id; raises AssertionError when it is refused."""
        body = {
            "prompt": graph,
            "prompt_id": prompt_id or str(uuid.uuid4()),
            "client_id": client_id,
        }
        if task_id is not None:
            body["extra_data"] = {"rowkeeper": {"task_id": task_id, "attempt": attempt}}
        status, content = await self.post("/prompt", body)
        assert status == 200, content
        return body["prompt_id"]

    async def history(self, prompt_id):
        return (await self.get(f"/history/{prompt_id}")).get(prompt_id)

    async def finished(self, prompt_id):
        """Wait for the end of a prompt and return its history entry."""
        async with asyncio.timeout(20):
            while (entry := await self.history(prompt_id)) is None:
                await asyncio.sleep(0.002)
        return entry

    async def runs(self, prompt_id):
        """Wait until a prompt is the running one."""
        async with asyncio.timeout(20):
            while prompt_id not in [p[1] for p in (await self.get("/queue"))["queue_running"]]:
                await asyncio.sleep(0.002)

    async def make(self, graph, **more):
        """Run a graph to its end and return its history entry."""
        return await self.finished(await self.submit(graph, **more))

    async def content(self, file):
        """Return the bytes of a file named in a history entry."""
        async with self.session.get(f"{self.url}/view", params=file) as answer:
            assert answer.status == 200
            return await answer.read()

    async def pictures(self, entry, node_id="9"):
        files = entry["outputs"][node_id]["images"]
        return [Image.open(io.BytesIO(await self.content(file))) for file in files]


def png(picture):
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


def plain_graph(prefix="plain", color=0xFF0000, size=8):
    """Return the smallest graph that makes a picture: two nodes, ``1`` and ``9``."""
    return {
        "1": node("EmptyImage", width=size, height=size, batch_size=1, color=color),
        "9": node("SaveImage", images=["1", 0], filename_prefix=prefix),
    }
