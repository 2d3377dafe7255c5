"""The words in the columns 状态 and 命令: closed lists with aliases, in both languages; pure."""

from enum import StrEnum

from daemon.tables.columns import plain_heading


class RowStatus(StrEnum):
    """What the word in a row's 状态 says."""

    READY = "ready"  #: nobody works on it; so it is taken when its required cells are filled
    PROCESSING = "processing"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"  #: a person wants it left alone


#: What a row shows that does not wait for anything.
ENDS = (RowStatus.DONE, RowStatus.FAILED, RowStatus.CANCELLED, RowStatus.SKIPPED)


class Command(StrEnum):
    """What a person may wish in a row's 命令."""

    RERUN = "rerun"  #: take the row as it now stands, once more
    RETRY = "retry"  #: repeat what failed or was cancelled, with the values it had
    CANCEL = "cancel"
    PAUSE = "pause"  #: the batch of the row
    RESUME = "resume"  #: the batch of the row
    URGENT = "urgent"  #: before all other waiting rows of its batch


#: The first word of each is the Chinese one that we write, the second the English one.
STATUS_WORDS: dict[RowStatus, tuple[str, ...]] = {
    RowStatus.READY: (
        "待处理",
        "pending",
        "否",
        "未处理",
        "未开始",
        "等待",
        "no",
        "todo",
        "waiting",
    ),
    RowStatus.PROCESSING: ("在处理中", "processing", "处理中", "进行中", "生成中", "running"),
    RowStatus.DONE: ("已完成", "done", "完成", "是", "成功", "completed", "yes"),
    RowStatus.FAILED: ("失败", "failed", "错误", "error"),
    RowStatus.CANCELLED: ("已取消", "cancelled", "取消", "canceled"),
    RowStatus.SKIPPED: ("跳过", "skip", "暂不处理", "不处理", "草稿", "draft", "hold"),
}
COMMAND_WORDS: dict[Command, tuple[str, ...]] = {
    Command.RERUN: ("重跑", "rerun", "重新执行"),
    Command.RETRY: ("重试", "retry"),
    Command.CANCEL: ("取消", "cancel"),
    Command.PAUSE: ("暂停", "pause"),
    Command.RESUME: ("继续", "resume", "恢复"),
    Command.URGENT: ("优先", "urgent", "加急"),
}
_STATUSES = {plain_heading(w): status for status, words in STATUS_WORDS.items() for w in words}
_COMMANDS = {plain_heading(w): command for command, words in COMMAND_WORDS.items() for w in words}


def read_status(word: str) -> RowStatus | None:
    """Return what *word* says, None for one that is not in the list; an empty one is READY."""
    plain = plain_heading(word)
    return _STATUSES.get(plain) if plain else RowStatus.READY


def status_words(language: str) -> tuple[str, ...]:
    """Return the words that we write in "zh" or "en", one for each status."""
    return tuple(status_word(status, language) for status in RowStatus)


def command_words(language: str) -> tuple[str, ...]:
    """Return what commands are called in "zh" or "en"."""
    return tuple(words[0 if language == "zh" else 1] for words in COMMAND_WORDS.values())


def status_word(status: RowStatus, language: str) -> str:
    """Return the word that we write for *status*; *language* is "zh" or "en"."""
    return STATUS_WORDS[status][0 if language == "zh" else 1]


def read_command(word: str) -> Command | None:
    """Return the command that *word* says, None for one that is not in the list."""
    return _COMMANDS.get(plain_heading(word))
