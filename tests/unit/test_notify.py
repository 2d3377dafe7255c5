"""The messages to systemd: their form, their order, and who is told nothing."""

import os
import socket
from pathlib import Path

import pytest

from daemon.notify import ServiceManager


@pytest.fixture
def listener(tmp_path: Path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(0)
        yield heard


def told(listener: socket.socket) -> list[str]:
    messages: list[str] = []
    while True:
        try:
            messages.append(listener.recv(4096).decode())
        except BlockingIOError:
            return messages


def test_a_reload_is_told_only_once_the_start_is_over(listener):
    manager = ServiceManager({"NOTIFY_SOCKET": listener.getsockname()})
    manager.reloading()
    manager.reloaded()
    assert told(listener) == []
    manager.ready()
    manager.reloading()
    manager.reloaded()
    ready, reloading, again = told(listener)
    assert (ready, again) == ("READY=1", "READY=1")
    assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=")
    manager.close()


def test_an_abstract_address_is_understood():
    name = f"rowkeeper-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"\0{name}")
        manager = ServiceManager({"NOTIFY_SOCKET": f"@{name}"})
        manager.status("two\nlines")
        assert heard.recv(100) == b"STATUS=two lines"
        manager.close()


def test_the_watchdog_is_fed_only_when_it_waits_for_this_very_process(listener):
    env = {"NOTIFY_SOCKET": listener.getsockname(), "WATCHDOG_USEC": "30000000"}
    for pid, seconds in ((str(os.getpid()), 30.0), (str(os.getpid() + 1), None)):
        manager = ServiceManager({**env, "WATCHDOG_PID": pid})
        assert manager.watchdog_seconds == seconds
        manager.feed_watchdog()
        assert told(listener) == (["WATCHDOG=1"] if seconds else [])
        manager.close()


def test_a_manager_that_is_gone_or_never_was_hinders_nobody(tmp_path: Path):
    for env in ({}, {"NOTIFY_SOCKET": str(tmp_path / "nobody")}):
        manager = ServiceManager(env)
        manager.ready()
        manager.status("all is well")
        manager.close()
        manager.stopping()
        assert manager.watchdog_seconds is None
