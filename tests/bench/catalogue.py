"""All benchmarks, in the order of the flow; their modules load when one is asked for."""

from importlib import import_module

from tests.bench.benchmark import Benchmark

#: name -> module below tests.bench that defines it in its ``BENCHMARKS``
MODULES: dict[str, str] = {
    # the ledger
    "ledger-updates": "ledger_updates",
    "ledger-growth": "ledger_updates",
    "ledger-rewrites": "ledger_updates",
    "ledger-readers": "ledger_load",
    "ledger-pauses": "ledger_load",
    "ledger-start": "ledger_start",
    "ledger-memory": "ledger_start",
    # intake, recovery, doors and commands
    "inbox-10k": "inbox",
    "inbox-50k": "inbox",
    "file-of-100k-rows": "big_file",
    "http-changes": "http_door",
    "recovery": "recovering",
    "idle": "commands",
    "commands": "commands",
    # dispatch, follow, collect
    "overhead": "overhead",
    "overhead-tiny": "overhead",
    "reaction": "promptness",
    "gap": "promptness",
    "scaling": "promptness",
    "affinity": "affinity",
    "video": "video",
    # the page
    "event-listeners": "event_listeners",
    "page-of-20k-rows": "long_list",
    # all of it
    "soak": "soak",
}


def find(name: str) -> Benchmark:
    """Return the benchmark of this name; raises KeyError."""
    module = import_module(f"tests.bench.{MODULES[name]}")
    found: dict[str, Benchmark] = {each.name: each for each in module.BENCHMARKS}
    return found[name]
