"""Whether a text can be read by somebody who reads no English, or no Chinese."""

import re

#: Three English words in a row; names (``inputs.allow``, “CSV UTF-8”) and single words are none.
_ENGLISH = re.compile(r"\b[A-Za-z']{2,}(?: [a-z']{2,}){2,}")
_QUOTED = re.compile(r"`[^`]*`")


def chinese_in(text: str) -> str:
    """Return the Chinese characters in *text*, with their punctuation."""
    return "".join(char for char in text if "\u3000" <= char <= "\u9fff" or char >= "\uff00")


def english_in(text: str) -> str:
    """Return the first English sentence in *text*, "" when there is none."""
    found = _ENGLISH.search(_QUOTED.sub("", text))
    return found[0] if found else ""
