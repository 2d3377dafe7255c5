"""An intake, an inbox and a memory ledger in a fresh folder; pictures drawn on demand."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PIL import Image

from config.settings import Inbox as InboxSettings
from config.settings import Inputs
from daemon.intake.accept import Intake
from daemon.intake.columns import WorkflowNeeds, known_columns
from daemon.intake.completeness import Completeness
from daemon.intake.contents import ContentStore
from daemon.intake.direct import DirectIntake
from daemon.intake.inbox import Inbox, Scan
from daemon.intake.picture_store import PictureStore
from daemon.timepiece import MachineTime
from daemon.words import Words
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.task import Task

PAIR = frozenset({"product_image", "model_image"})
NEEDS = {
    "图片合成": WorkflowNeeds(picture_columns=PAIR, columns=PAIR | {"seed"}),
    "图生视频": WorkflowNeeds(
        picture_columns=frozenset({"image"}), columns=frozenset({"image", "seed"})
    ),
}


class MovedClock:
    """A clock that a test moves; it starts at the machine's time, as file times do."""

    def __init__(self) -> None:
        self.passed = 0.0
        self._start = datetime.now(UTC)

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return 1000.0 + self.passed

    async def pause(self, seconds, until=None) -> None:
        self.passed += seconds


class House:
    """An inbox with everything behind it."""

    def __init__(
        self, folder: Path, backend: MemoryBackend, language: str = "en", **inputs
    ) -> None:
        self.clock = MovedClock()
        self.path = folder / "inbox"
        self.path.mkdir(exist_ok=True)
        self.backend = backend
        self.ledger = Ledger(backend)
        self.inputs = Inputs(path=folder / "inputs", **inputs)
        self.contents = ContentStore(
            self.inputs.path, max_picture_megapixels=self.inputs.max_picture_megapixels
        )
        self.intake = Intake(self.ledger, self.contents, NEEDS, self.clock, self.inputs)
        self.words = Words(language)
        self.inbox = Inbox(
            InboxSettings(path=self.path), self.intake, self.ledger, self.clock, self.words
        )

    def direct(self, **inbox: float) -> DirectIntake:
        """What a command without a daemon takes drops in with; does not wait if not told to."""
        settings = InboxSettings(path=self.path, **{"wait_for_pictures_seconds": 0} | inbox)
        return DirectIntake(
            self.path,
            PictureStore(self.inputs.path, max_picture_megapixels=100),
            Completeness(settings, self.inputs.allow, MachineTime()),
            NEEDS,
            known_columns(NEEDS),
            allow=self.inputs.allow,
            words=self.words,
        )

    async def take_in(self) -> Scan:
        """Let everything settle and the wait for pictures pass, looking again and again."""
        scan = await self.inbox.scan_once()
        for _ in range(20):
            if not scan.settling:
                break
            self.clock.passed += 5
            scan = await self.inbox.scan_once()
        return scan

    def tasks(self) -> list[Task]:
        return list(self.ledger.tasks())

    def left(self) -> list[str]:
        """What lies in the inbox itself."""
        ours = {"accepted", "rejected", "duplicates"}
        return sorted(path.name for path in self.path.iterdir() if path.name not in ours)

    def filed(self, folder: str) -> list[str]:
        """What lies in one of our folders, day folders opened."""
        found = (self.path / folder).rglob("*")
        return sorted(path.name for path in found if path.is_file() or path.is_symlink())

    def report(self, name: str) -> list[dict[str, str]]:
        folder = "duplicates" if ".duplicates" in name else "rejected"
        with (self.path / folder / name).open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))

    def error(self, name: str) -> str:
        return (self.path / "rejected" / f"{name}.error.txt").read_text("utf-8")

    def make(self, name: str, content: bytes | str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def draw(self, name: str, colour: str = "red", size: tuple[int, int] = (8, 8)) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, colour).save(path)
        return path

    def folder_drop(self, name: str, *rows: str, heading: str = "") -> Path:
        """Make a drop of rows ``product,model,type,product picture,model picture``."""
        self.draw(f"{name}/p.png", "green")
        self.draw(f"{name}/m.png", "blue")
        heading = heading or "产品名,模特名,工作流类型,产品图,模特图"
        self.make(f"{name}/{name}.csv", "\n".join([heading, *rows]))
        return self.path / name
