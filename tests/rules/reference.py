"""Writes the tables of config/REFERENCE.md anew: ``python -m tests.rules.reference``."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import inspect
from prometheus_client.parser import text_string_to_metric_families

from config.builtin import EXAMPLES
from config.sections import is_secret
from config.settings import Settings
from daemon.metrics import Metrics
from daemon.web.routes import ENDPOINTS
from daemon.words.catalogue import CATALOGUE
from daemon.words.headings import HEADINGS, INPUT_HEADINGS

PATH = Path(__file__).parents[2] / "config" / "REFERENCE.md"


def settings_rows() -> Iterator[tuple[str, ...]]:
    """Yield each setting with its default and what the example file says of it."""
    told = comments()
    for place, field in places(inspect.type_info(Settings)):
        yield f"`{place}`", default_of(field), told.get(re.sub(r"<type>", "图片合成", place), "")
        if is_secret(field.type) and not isinstance(field.type.type, inspect.DictType):
            yield f"`{place}_file`", "", f"A file that holds `{place.rpartition('.')[2]}`."


def places(kind: inspect.Type, before: str = "") -> Iterator[tuple[str, inspect.Field]]:
    """Yield every key of *kind* by the place at which a file has it."""
    assert isinstance(kind, inspect.StructType)
    for field in kind.fields:
        place = f"{before}{field.name}"
        match field.type:
            case inspect.StructType():
                yield from places(field.type, f"{place}.")
            case inspect.VarTupleType(item_type=inspect.StructType() as inside):
                yield from places(inside, f"{place}[].")
            case inspect.DictType(value_type=inspect.StructType() as inside) if not before:
                yield from places(inside, f"{place}.<type>.")
            case _:
                yield place, field


def default_of(field: inspect.Field) -> str:
    if field.required:
        return "must be given"
    factory = field.default_factory
    value = factory() if factory is not msgspec.NODEFAULT else field.default
    if isinstance(value, tuple):
        value = list(value)
    if value is None:
        return ""
    if isinstance(value, Path) and field.name != "state_dir":
        return f"`{value}` in `state_dir`"
    return f"`{msgspec.json.encode(value, enc_hook=str).decode()}`"


def comments() -> dict[str, str]:
    """Return what the example file says above each key; keys that follow at once share it."""
    told: dict[str, str] = {}
    section, lines, fresh = "", list[str](), True
    for line in (EXAMPLES / "rowkeeper.toml").read_text("utf-8").splitlines():
        if head := re.fullmatch(r"#?(\[+)([^\]]+)\]+", line):
            many = "[]" if head[1] == "[[" else ""
            section = head[2].replace('"', "") + many
            if section.endswith((".inputs", ".outputs")) and lines:
                told[section] = " ".join(lines)
            fresh = True
        elif key := re.match(r"#?([a-z_]+) = ", line):
            told.setdefault(f"{section}.{key[1]}".lstrip("."), " ".join(lines))
            fresh = True
        elif line.startswith("# "):
            lines = [*([] if fresh else lines), line[2:]]
            fresh = False
        else:
            lines, fresh = [], True
    return told


def error_rows() -> Iterator[tuple[str, ...]]:
    """Yield each code that an answer may bear, with its message and what to do."""
    words = CATALOGUE["en"]
    for key, message in words.items():
        if key.startswith("error.") and key.endswith(".message"):
            code = key.split(".")[1]
            yield f"`{code}`", shown(message), shown(words.get(f"error.{code}.hint", ""))


def shown(sentence: str) -> str:
    return re.sub(r"\{[^}]*\}", "…", sentence)


def path_rows() -> Iterator[tuple[str, ...]]:
    """Yield each path of the HTTP door."""
    for endpoint in ENDPOINTS:
        key = " Takes an `Idempotency-Key`." if endpoint.takes_key else ""
        yield endpoint.method, f"`{endpoint.path}`", endpoint.summary + key


def metric_rows() -> Iterator[tuple[str, ...]]:
    """Yield each number of ours that `/metrics` tells."""
    for family in text_string_to_metric_families(Metrics().text().decode()):
        if family.name.startswith("rowkeeper_") and not family.name.endswith("_created"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            yield f"`{name}`", family.type, family.documentation


def column_rows() -> Iterator[tuple[str, ...]]:
    """Yield each column of a table that has a meaning, with every heading that it may bear."""
    for key, headings in HEADINGS.items():
        names = ", ".join(f"`{heading}`" if heading.isascii() else heading for heading in headings)
        by_people = key in INPUT_HEADINGS or key == "command"
        yield f"`{key}`", names, "people" if by_people else "rowkeeper"


TABLES = {
    "settings": (("setting", "default", ""), settings_rows),
    "columns": (("key", "or one of these headings", "filled by"), column_rows),
    "errors": (("code", "message", "what to do"), error_rows),
    "paths": (("", "path", ""), path_rows),
    "metrics": (("number", "kind", ""), metric_rows),
}


def table(name: str) -> str:
    """Return the table *name* as Markdown."""
    heads, rows = TABLES[name]
    lines = [heads, ("---",) * len(heads), *rows()]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in lines)


def part(text: str, name: str) -> re.Match[str] | None:
    """Return where in *text* the table *name* stands."""
    return re.search(rf"(?<=<!-- table: {name} -->\n).*?(?=\n<!-- end -->)", text, re.DOTALL)


def main() -> None:
    """Write every table anew."""
    text = PATH.read_text("utf-8")
    for name in TABLES:
        found = part(text, name)
        assert found is not None, f"{PATH} has no place for {name}"
        text = text[: found.start()] + table(name) + text[found.end() :]
    PATH.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
