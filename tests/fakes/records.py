"""Records for tests, whole with one call."""

from ledger.batch import Batch
from ledger.status import STATUS_OF, Stage
from ledger.task import Metadata, OutputFile, Publish, Source, TableRow, Task

AT = "2026-11-21T10:00:00.000Z"


def task_record(number: int = 1, stage: Stage = Stage.WAITING, **fields: object) -> Task:
    """Return a first version of a task in *stage*."""
    task_id = f"img_20261121_{number:06}"
    values: dict[str, object] = {
        "task_id": task_id,
        "row_id": f"spring-abc234:{number}",
        "batch_id": "spring-abc234",
        "row_number": number,
        "workflow_type": "图片合成",
        "created_at": AT,
        "updated_at": AT,
        "root_task_id": task_id,
        "stage": stage,
        "status": STATUS_OF[stage],
    }
    return Task(**(values | fields))


def untold_video(path: str, key: str) -> Task:
    """Return a video that is done, and of which the row *key* of the table was not told."""
    output = OutputFile(
        node="40", filename=path, subfolder="", type="output", path=path, sha256="0" * 64
    )
    kind = "图生视频"
    place = TableRow(table="table", key=key, workflow_types=(kind,))
    return task_record(
        1,
        Stage.DONE,
        task_id="vid_20261121_000001",
        workflow_type=kind,
        publish=Publish(state="pending"),
        metadata=Metadata(table_row=place),
        outputs=(output,),
    )


def batch_record(batch_id: str = "spring-abc234", **fields: object) -> Batch:
    """Return a first version of a batch."""
    values: dict[str, object] = {
        "batch_id": batch_id,
        "name": "spring.csv",
        "source": Source(kind="inbox", name="spring.csv"),
        "created_at": AT,
        "updated_at": AT,
    }
    return Batch(**(values | fields))
