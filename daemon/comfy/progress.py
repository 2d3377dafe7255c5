"""The push channel: websocket frames become news about prompts; a hint, never the truth."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator

import aiohttp
import msgspec

from daemon.comfy.connection import Connection
from daemon.comfy.messages import Frame, FrameData
from daemon.comfy.server import ENDED, NODE, STARTED, Progress

#: Previews of large pictures arrive as one binary frame each; a frame over the limit would end
#: the connection.
LARGEST_FRAME_BYTES = 64 * 1024 * 1024
_ENDING_FRAMES = frozenset({"execution_error", "execution_interrupted"})


async def progress(connection: Connection, client_id: str) -> AsyncGenerator[Progress, None]:
    """Yield news while one connection lasts; raises Unreachable when there is none to be had."""
    params = {"clientId": client_id}
    websocket = await connection.open_websocket("/ws", params, LARGEST_FRAME_BYTES)
    try:
        async for message in websocket:
            if message.type is aiohttp.WSMsgType.ERROR:
                return  # the heartbeat found it dead, or a frame was too large
            if message.type is aiohttp.WSMsgType.TEXT:
                for news in news_of(message.data):
                    yield news
    finally:
        # aiohttp waits anew after each frame that comes before the farewell is answered, which
        # on a busy server may be for ever; cut short, it drops the connection.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(connection.timeouts.websocket_close_seconds):
                await websocket.close()


def news_of(text: str) -> Iterator[Progress]:
    """Yield what one text frame tells about prompts: nothing for frames we do not know. Pure."""
    try:
        frame = msgspec.json.decode(text, type=Frame)
    except msgspec.DecodeError:
        return
    data, prompt_id = frame.data, frame.data.prompt_id
    if prompt_id is None:
        return
    if frame.type == "execution_start":
        yield Progress(prompt_id=prompt_id, event=STARTED)
    elif frame.type in _ENDING_FRAMES or (frame.type == "executing" and data.node is None):
        yield Progress(prompt_id=prompt_id, event=ENDED)
    elif frame.type == "executing":
        yield Progress(prompt_id=prompt_id, event=NODE, node=data.node)
    elif frame.type == "progress":
        yield Progress(
            prompt_id=prompt_id, event=NODE, node=data.node, value=data.value, maximum=data.max
        )
    elif frame.type == "progress_state":
        yield from _running_nodes(prompt_id, data)


def _running_nodes(prompt_id: str, data: FrameData) -> Iterator[Progress]:
    nodes = data.nodes if isinstance(data.nodes, dict) else {}
    for node, state in nodes.items():
        if state.state == "running":
            yield Progress(
                prompt_id=prompt_id,
                event=NODE,
                node=node,
                value=state.value,
                maximum=state.max,
            )
