"""The token: made once, whole or not at all, for its owner alone."""

import pytest

from daemon.web.auth import BadTokenFile, read_or_make_token
from daemon.web.hosts import Hosts, is_loopback


def test_a_token_is_made_once_and_for_the_owner_alone(tmp_path):
    path = tmp_path / "state" / "admin-token"
    token = read_or_make_token(path)
    assert len(token) >= 40
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_or_make_token(path) == token
    assert [each.name for each in path.parent.iterdir()] == ["admin-token"]


@pytest.mark.parametrize(
    "content",
    [b"", b"short\n", "钥匙钥匙钥匙钥匙钥匙钥匙钥匙钥匙".encode(), b"a" * 20 + b"\n" + b"b" * 20],
)
def test_a_file_that_holds_no_token_is_refused_and_kept(tmp_path, content):
    path = tmp_path / "admin-token"
    path.write_bytes(content)
    with pytest.raises(BadTokenFile):
        read_or_make_token(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("name", ["localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_loopback_is_known_by_name_and_number(name):
    assert is_loopback(name)


FOREIGN = ["localhost.evil", "0.0.0.0", "10.0.0.1", "::", "evil", ""]  # noqa: S104 - names


@pytest.mark.parametrize("name", FOREIGN)
def test_everything_else_is_not_loopback(name):
    assert not is_loopback(name)


def test_names_that_are_allowed_count_without_regard_to_case_and_port():
    hosts = Hosts("0.0.0.0", ["Rows.Example"])  # noqa: S104 - nobody listens
    assert hosts.allows("//ROWS.example:8787")
    assert hosts.allows("https://rows.example.")
    assert not hosts.allows("//0.0.0.0")
    assert not hosts.allows("//rows.example.evil")
    assert Hosts("10.0.0.5", []).allows("//10.0.0.5:8787")
