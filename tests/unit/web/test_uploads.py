"""Names of uploaded files stay inside their folder."""

import pytest

from daemon.web.files import headers_for, inside
from daemon.web.refusal import Refusal
from daemon.web.uploads import safe_name


@pytest.mark.parametrize("name", ["a.png", "图/甲.png", "a b/c.png", "..a/b..png", "pics\\a.png"])
def test_plain_and_nested_names_are_kept(name):
    assert safe_name(name) == name.replace("\\", "/")


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../a",
        "a/../b",
        "/a",
        "a//b",
        "a/",
        ".",
        "",
        "\\\\host\\a",
        "a\0b",
        "a\nb",
        "x" * 256,
        "图" * 86,
    ],
)
def test_names_that_lead_elsewhere_or_fit_no_disk_are_refused(name):
    with pytest.raises(Refusal) as refused:
        safe_name(name)
    assert refused.value.code == "bad_file_name"


def test_only_files_really_inside_the_folder_are_found(tmp_path):
    folder = tmp_path / "outputs"
    (folder / "b").mkdir(parents=True)
    (folder / "b" / "a.png").write_bytes(b"x")
    (tmp_path / "secret").write_bytes(b"x")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "loop").symlink_to(folder / "loop")
    assert inside(folder, folder / "b" / "a.png") == folder / "b" / "a.png"
    for wrong in ("link", "loop", "../secret", "b", "none", "b/../../secret"):
        assert inside(folder, folder / wrong) is None, wrong


@pytest.mark.parametrize("name", ["a.svg", "a.html", "a.js", "a", "a.png.exe"])
def test_what_a_browser_could_run_is_only_offered_for_saving(tmp_path, name):
    headers = headers_for(tmp_path / name)
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment")
