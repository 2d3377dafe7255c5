"""A server that is asked what was asked for the recordings; names are new for every run."""

import asyncio
import io
import json
import re
import secrets
from pathlib import Path

import aiohttp
from PIL import Image

from tests.fakes.likeness import same_headers, same_shape

RECORDINGS = Path(__file__).parent / "recordings"


class RecordedServer:
    """A server to ask, and the recordings of its version under names of this run only."""

    def __init__(self, version, url, session, simulator):
        self.version, self.url, self.session, self.simulator = version, url, session, simulator
        self.run = secrets.token_hex(4)[:7]
        self.client_id = f"conformance-{self.run}"

    def recording(self, name):
        text = (RECORDINGS / f"v{self.version}" / f"{name}.json").read_text("utf-8")
        text = re.sub(r"recorder-[0-9a-f]+", self.client_id, text)
        text = re.sub(r"\b([1-8])\1{7}-", rf"{self.run}\1-", text)
        text = re.sub(r"\b(rows/|tasks/|slow\b)", rf"\g<1>{self.run}", text)
        text = re.sub(r"(product|model|broken|evil)( \(1\))?\.png", rf"\1-{self.run}\2.png", text)
        return json.loads(text.replace('"client_id": "c"', f'"client_id": "{self.client_id}"'))

    async def ask(self, request, **more):
        """Send a recorded request; the answer in the form of the recordings."""
        body = {"json": request["json"]} if request.get("json") is not None else {}
        async with self.session.request(
            request["method"], self.url + request["path"], **{**body, **more}
        ) as answer:
            content = await answer.read()
            is_json = answer.content_type == "application/json"
            return {
                "status": answer.status,
                "headers": dict(answer.headers),
                "body": json.loads(content) if is_json else content,
            }

    async def expect_alike(self, recorded, **more):
        """Send a recorded request and compare the answer; returns its body."""
        answer = await self.ask(recorded["request"], **more)
        assert answer["status"] == recorded["status"], answer["body"]
        same_headers(recorded["headers"], answer["headers"], empty=not answer["body"])
        if recorded["headers"].get("Content-Type", "").startswith("application/json"):
            same_shape(recorded["body"], answer["body"])
        elif not recorded["body"].startswith("<"):
            assert answer["body"].decode() == recorded["body"]
        return answer["body"]

    async def upload(self, name, content, **fields):
        form = aiohttp.FormData(fields)
        form.add_field("image", content, filename=name, content_type="image/png")
        async with self.session.post(f"{self.url}/upload/image", data=form) as answer:
            return {
                "status": answer.status,
                "headers": dict(answer.headers),
                "body": await answer.json() if answer.status == 200 else await answer.text(),
            }

    async def pictures(self):
        """Put the pictures the recorded graphs name into the input folder."""
        for name, shade in (("product", 0), ("model", 128)):
            await self.upload(f"{name}-{self.run}.png", png(shade), overwrite="true")
        await self.broken_picture(24)  # within its header, as it was for the recording

    async def broken_picture(self, size_bytes):
        """Put the beginning of a picture where the recorded graphs expect a broken one."""
        await self.upload(f"broken-{self.run}.png", png(0)[:size_bytes], overwrite="true")

    async def finished(self, prompt_id):
        """Wait for a prompt and return its history entry."""
        path = {"method": "GET", "path": f"/history/{prompt_id}", "json": None}
        async with asyncio.timeout(60):
            while not (body := (await self.ask(path))["body"]):
                await asyncio.sleep(0.005)
        return body[prompt_id]

    async def make(self, recorded):
        """Run a recorded prompt to its end without looking."""
        assert (await self.ask(recorded["submit"]["request"]))["status"] == 200
        await self.finished(recorded["submit"]["request"]["json"]["prompt_id"])

    def holds(self, prompt_id):
        """Make a prompt slow where nothing else does: the simulator encodes too fast."""
        if self.simulator is not None:
            self.simulator.faults.next("slow", target=prompt_id, seconds=60)

    async def runs(self, prompt_id):
        """Wait until a prompt is the running one."""
        path = {"method": "GET", "path": "/queue", "json": None}
        async with asyncio.timeout(60):
            while [p[1] for p in (await self.ask(path))["body"]["queue_running"]] != [prompt_id]:
                await asyncio.sleep(0.005)

    async def frames_until(self, socket, prompt_id):
        """Return the frames up to the one that ends a prompt."""
        seen = []
        async with asyncio.timeout(30):
            async for message in socket:
                frame = message.json()
                seen.append(frame)
                data = frame["data"]
                if (
                    frame["type"] == "executing"
                    and data["node"] is None
                    and data["prompt_id"] == prompt_id
                ):
                    break
        return seen

    def listen(self):
        return self.session.ws_connect(f"{self.url}/ws?clientId={self.client_id}")


def png(shade):
    """Return a small picture that no other run has."""
    content = io.BytesIO()
    color = (shade, secrets.randbelow(256), secrets.randbelow(256))
    Image.new("RGB", (96, 64), color).save(content, "PNG")
    return content.getvalue()
