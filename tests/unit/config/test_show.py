"""What `config show` and the example file say is true and complete, and keeps secrets."""

import re
import tomllib
from collections.abc import Iterator

import pytest
from msgspec import inspect

from config.builtin import EXAMPLES
from config.load import load
from config.settings import OutputNode, Settings
from config.show import as_toml, effective

EXAMPLE = EXAMPLES / "rowkeeper.toml"


def test_every_setting_is_shown_with_its_origin(tmp_path):
    (tmp_path / "secret").write_text("hunter2")
    file = tmp_path / "rowkeeper.toml"
    file.write_text('[inbox]\npath = "in"\n[alerts]\nfeishu_webhook_secret_file = "secret"\n')
    env = {"ROWKEEPER_WEB__PORT": "9000", "STATE_DIRECTORY": str(tmp_path / "s")}
    origins = {entry.place: entry.origin for entry in effective(load(file, env))}
    assert origins["inbox.path"] == "file"
    assert origins["web.port"] == "env ROWKEEPER_WEB__PORT"
    assert origins["state_dir"] == "env STATE_DIRECTORY"
    assert origins["alerts.feishu_webhook_secret"] == f"secret file {tmp_path / 'secret'}"
    assert origins["web.host"] == "default"
    assert origins['workflows."图片合成".inputs.seed'] == "default"
    assert origins["servers[0].url"] == "default"


def test_secrets_are_never_shown(tmp_path):
    file = tmp_path / "rowkeeper.toml"
    file.write_text(
        '[alerts]\nfeishu_webhook = "https://hunter2"\nfeishu_webhook_secret = "hunter2"\n'
        '[[servers]]\nname = "a"\nurl = "http://x"\nheaders = {Authorization = "hunter2"}\n'
    )
    loaded = load(file, {})
    shown = as_toml(loaded) + repr(effective(loaded))
    assert "hunter2" not in shown
    values = {entry.place: entry.value for entry in effective(loaded)}
    assert values["alerts.feishu_webhook"] == "***"
    assert values["servers[0].headers.Authorization"] == "***"


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("https://x.feishu.cn/base/A?table=t&view=v", "https://x.feishu.cn/base/A?table=t&view=v"),
        ("https://x.cn/sheets/B?sheet=1&token=hunter2", "https://x.cn/sheets/B?sheet=1&token=***"),
        ("https://me:hunter2@x.cn/base/A", "https://***@x.cn/base/A"),
        ("https://x.cn/base/A?hunter2#hunter2", "https://x.cn/base/A?***#***"),
        ("https://[hunter2/base/A", "***"),
    ],
)
def test_an_address_of_a_table_is_shown_without_what_it_may_bear_of_secrets(tmp_path, link, shown):
    file = tmp_path / "rowkeeper.toml"
    table = f'[[tables]]\nname = "t"\nkind = "feishu-bitable"\nurl = "{link}"\n'
    file.write_text(f'[feishu]\napp_id = "a"\napp_secret = "b"\n{table}')
    values = {entry.place: entry.value for entry in effective(load(file, {}))}
    assert values["tables[0].url"] == shown


def test_an_absent_secret_is_shown_as_absent(tmp_path):
    values = {entry.place: entry.value for entry in effective(load(None, {}, tmp_path))}
    assert values["alerts.feishu_webhook"] == ""


def test_what_is_shown_can_be_loaded_again_and_means_the_same(tmp_path):
    file = tmp_path / "rowkeeper.toml"
    file.write_text(
        """
        servers = [
            {name = "a", url = "http://x", headers = {"X-A" = ""}},
            {name = "b", url = "http://y", max_in_flight = 4},
        ]
        [workflows."图片合成"]
        outputs = {image = {node = "output", count = 4}}
        """
    )
    settings = load(file, {}).settings
    again = tmp_path / "again.toml"
    again.write_text(as_toml(load(file, {})))
    assert load(again, {}).settings == settings


def places(kind: inspect.Type, place: str = "") -> Iterator[str]:
    """Yield every setting there can be, as ``section.key``; names in tables are ``*``."""
    inner = kind.type if isinstance(kind, inspect.Metadata) else kind
    match inner:
        case inspect.StructType(cls=cls) if cls is not OutputNode:
            for field in inner.fields:
                yield from places(field.type, f"{place}.{field.name}".strip("."))
        case inspect.VarTupleType(item_type=inspect.StructType() as struct):
            yield from places(struct, place)
        case inspect.DictType(value_type=inspect.StructType() as struct):
            yield from places(struct, f"{place}.*")
        case _:
            yield place


def places_in_example() -> dict[str, bool]:
    """Return the keys in the example, commented out or not, with whether each is explained."""
    found, table, explained = {}, "", False
    for line in EXAMPLE.read_text("utf-8").splitlines():
        if header := re.match(r"#?\[+([^\]]+)\]+$", line):
            table = re.sub(r'"[^"]+"', "*", header[1])
            found.setdefault(table, explained)
        elif key := re.match(r"#([a-z_]+) = ", line):
            found[f"{table}.{key[1]}".strip(".")] = explained
        explained = line.startswith("# ")
    return found


def test_the_example_names_every_setting():
    wanted = set(places(inspect.type_info(Settings)))
    missing = wanted - set(places_in_example())
    assert not missing


def test_the_example_names_nothing_that_is_no_setting():
    known = set(places(inspect.type_info(Settings)))
    known |= {place.rpartition(".")[0] for place in known}
    mapped = ("workflows.*.inputs.", "workflows.*.outputs.")
    unknown = {p for p in places_in_example() if p not in known and not p.startswith(mapped)}
    assert unknown <= {""}


def test_the_example_as_it_is_equals_the_defaults(tmp_path):
    file = tmp_path / "rowkeeper.toml"
    file.write_bytes(EXAMPLE.read_bytes())
    assert load(file, {}).settings == load(None, {}, tmp_path).settings


def test_the_example_with_every_key_uncommented_equals_the_defaults(tmp_path):
    text = re.sub(r"^#(?=[\w\[])", "", EXAMPLE.read_text("utf-8"), flags=re.MULTILINE)
    text = re.sub(r"^\[\[tables\]\]\n(.+\n)+", "", text, flags=re.MULTILINE)  # only an example
    assert tomllib.loads(text)["web"]["port"] == 8787
    file = tmp_path / "rowkeeper.toml"
    file.write_text(text.replace('"workflows/', f'"{EXAMPLES}/workflows/'), "utf-8")
    assert load(file, {}).settings == load(None, {}, tmp_path).settings
