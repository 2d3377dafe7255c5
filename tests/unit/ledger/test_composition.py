"""Snapshot after snapshot out of the one before: records that change, grow, shrink, come and go."""

from pathlib import Path
from random import Random

import orjson
import pytest

from ledger.jsondir.compactor import Compactor
from ledger.jsondir.snapshot import Changes
from ledger.shelf import encode_task
from tests.fakes.disk import FailingDisk
from tests.fakes.records import AT, task_record

SNAPSHOTS = 40


class Story:
    """Makes changes at random, and knows what must come out of them."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.records: dict[str, bytes] = {}
        self.came = 0

    def go_on(self) -> Changes:
        """Return the next changes: few or many rows one after the other, the ends among them."""
        changes, ids = Changes(), list(self.records)
        first = self.chance.randrange(len(ids) + 1)
        some = ids[first : first + self.chance.choice((1, 3, 40))]
        for task_id in self.chance.sample(some, self.chance.randint(0, len(some))):
            changes.tasks[task_id] = self.written(int(task_id[-6:]))
        for task_id in self.chance.sample(ids, min(len(ids), self.chance.choice((0, 0, 1, 5)))):
            changes.tasks[task_id] = None
        for _ in range(self.chance.choice((0, 1, 30))):
            self.came += 1
            changes.tasks[task_record(self.came).task_id] = self.written(self.came)
        for task_id, encoded in changes.tasks.items():
            if encoded is None:
                del self.records[task_id]
            else:
                self.records[task_id] = encoded
        return changes

    def written(self, number: int) -> bytes:
        return encode_task(task_record(number, row={"prompt": "x" * self.chance.randrange(900)}))


@pytest.mark.parametrize("seed", range(5))
def test_each_snapshot_holds_what_all_changes_made_and_knows_where_it_lies(
    tmp_path: Path, seed: int
) -> None:
    chance, disk = Random(seed), FailingDisk()
    story, compactor, unwritten = Story(chance), Compactor(tmp_path, disk), Changes()
    for seq in range(1, SNAPSHOTS):
        unwritten.follow(story.go_on())
        disk.full = chance.random() < 0.2
        if disk.full:
            with pytest.raises(OSError, match="No space"):
                compactor.write_snapshot(unwritten, seq, AT)
            continue
        places = compactor.write_snapshot(unwritten, seq, AT)
        unwritten = Changes()
        assert dict(places.tasks) == story.records
        assert list(places.tasks) == list(story.records)
        document = orjson.loads((tmp_path / "ledger.json").read_bytes())
        assert list(document["tasks"].values()) == [*map(orjson.loads, story.records.values())]
        assert document["meta"]["counters"].get("img_20261121", 0) == story.came
    assert story.came > 50
