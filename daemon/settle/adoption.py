"""Asks the server's output folder whether an attempt finished although nobody remembers it.

Each attempt saves under a folder of its own, so what lies there was made by it. ComfyUI serves
outputs by ``/view`` also after a restart (recording ``after_server_restart``).
"""

from collections.abc import Sequence

from daemon.comfy.server import FileRef, WorkflowServer
from daemon.settle.results import ResultNode
from daemon.settle.verdict import Probe
from daemon.words.recorded import recorded, together
from ledger.task import Task


async def probe_outputs(server: WorkflowServer, task: Task, results: Sequence[ResultNode]) -> Probe:
    """Return whether all files of the attempt are there, and which.

    Complete: every result node has a known naming, each of its ``count`` files exists and is not
    empty, and the next number does not. Whether they decode is proven when they are collected.
    Raises Unreachable.
    """
    if not server.capabilities.probes_outputs:
        return Probe(complete=False, finding=recorded("no_probe"))
    if not results:
        return Probe(
            complete=False,
            finding=together(recorded("workflow_changed"), recorded("files_unknown")),
        )
    files: list[FileRef] = []
    for node in results:
        for number in range(1, node.count + 2):
            filename = node.filename(number)
            if filename is None:
                return Probe(complete=False, finding=recorded("own_naming", node=node.class_type))
            ref = FileRef(
                node=node.node_id,
                filename=filename,
                subfolder=task.output_prefix,
                type="output",
            )
            head = await server.find_file(ref)
            if number <= node.count and (head is None or head.size_bytes == 0):
                return Probe(complete=False, finding=recorded("folder_lacks", file=filename))
            if number > node.count and head is not None:
                return Probe(complete=False, finding=recorded("folder_extra", file=filename))
            if head is not None:
                files.append(ref)
    return Probe(
        complete=True, files=tuple(files), finding=recorded("folder_whole", count=len(files))
    )
