"""`simulate`: the faults that can be ordered on the command line."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.fakes.chinese import chinese_in, english_in

PROGRAM = Path(__file__).parents[3] / "run_daemon.py"


def classes(url: str, name: str) -> set[str]:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(f"{url}/object_info/{name}", timeout=30) as answer:
        return set(json.load(answer))


def test_a_fault_is_aimed_at_one_node_class_on_the_command_line(tmp_path):
    order = ["simulate", "--port", "0", "--fault", "missing_class:SaveImage=1"]
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), *order],
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            told = process.stdout.readline()
            url = re.search(r"http://[0-9.:]*[0-9]", told)[0]
            assert classes(url, "SaveImage") == set()
            assert classes(url, "LoadImage") == {"LoadImage"}
        finally:
            process.terminate()


@pytest.mark.parametrize("order", ["missing_class", "missing_class=1"])
def test_a_fault_that_needs_a_target_says_so(command, order):
    command("simulate", "--port", "0", "--fault", order, code=2)
    assert "needs a target: the name of the node class" in command.err


def test_a_fault_whose_probability_is_no_number_is_refused_with_the_two_ways_to_write_it(command):
    command("simulate", "--port", "0", "--fault", "missing_class=SaveImage", code=2)
    assert "write NAME=0.1, or NAME:TARGET=0.1" in command.err


@pytest.mark.parametrize(
    "order",
    [
        *(["--fault", each] for each in ("none=1", "slow=2", "slow.seconds=3", "missing_class")),
        ["--version", "newest"],
    ],
    ids=lambda order: order[-1],
)
def test_a_wrong_order_is_refused_in_chinese(command, order):
    command.config.write_text('language = "zh"\n', "utf-8")
    command("simulate", "--port", "0", *order, code=2)
    told = command.err.partition("错误：")[2]
    assert chinese_in(told), command.err
    assert english_in(told) == ""


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_help_tells_of_targets(command, language):
    command.configure("")
    command.config.write_text(f'language = "{language}"\n', "utf-8")
    told = command("simulate", "--help")
    assert "NAME[:TARGET]=P" in told
    assert "missing_class:SaveImage=1" in told
