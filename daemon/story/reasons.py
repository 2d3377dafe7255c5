"""The reasons that steps write into the journal, for who reads Chinese. Pure.

The journal's own text is English, as logs are; what is not listed here stays as it was written.
"""

import re

_PATTERNS = (
    (r"in neither queue nor history after settling", "等待之后，队列和历史里仍没有它"),
    (r"in neither queue nor history", "队列和历史里都没有它"),
    (r"in neither queue, history nor output folder", "队列、历史和输出文件夹里都没有它"),
    (r"history: interrupted", "历史记录说它被中断"),
    (r"history: success without files", "历史记录说它成功，却没有文件"),
    (r"history: success with files of another attempt", "历史记录里的文件属于另一次尝试"),
    (r"queue: it began before it could be taken back", "取回之前它已经开始执行"),
    (r"cancel was requested", "有人要求取消"),
    (r"take_back was requested", "有人要求取回"),
    (r"reset was requested", "有人要求重置"),
    (r"its folder has no (.+)", "它的输出文件夹里没有 {0}"),
    (r"its folder has an unexpected (.+)", "它的输出文件夹里多出了 {0}"),
    (r"its folder holds all (\d+) files", "它的输出文件夹里 {0} 个文件齐全"),
    (r"the workflow changed", "工作流已改动"),
    (r"its files are not known", "无法知道它的文件"),
    (r"the template changed since", "模板已改动"),
    (r"(.+) names files its own way", "{0} 自己命名文件，无法推断"),
    (r"this kind of server cannot be asked for files", "这类服务器不能查询文件"),
    (r"dependency: (.+)", "依赖 {0}"),
    (r"uncertain: .*", '没有人能知道 ComfyUI 是否执行过；请人来决定（on_uncertain = "ask"）'),
    (r"ran out of memory on (.+) again and again", "在 {0} 上多次显存不足"),
    (r"done for more than (\S+) days", "完成已超过 {0} 天"),
    (r"force_reset", "强制重置"),
)
_KNOWN = tuple((re.compile(pattern), chinese) for pattern, chinese in _PATTERNS)


def in_language(reason: str, language: str) -> str:
    """Return *reason* in "zh" or "en", as far as its phrases are known."""
    if language != "zh":
        return reason
    whole = _translated(reason)
    if whole is not None:
        return whole
    return "；".join(_translated(phrase) or phrase for phrase in reason.split("; "))


def _translated(phrase: str) -> str | None:
    for pattern, chinese in _KNOWN:
        if found := pattern.fullmatch(phrase):
            return chinese.format(*found.groups())
    return None
