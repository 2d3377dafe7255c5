"""The shipped alert rules and dashboard name only numbers that `/metrics` has."""

import contextlib
import json
import re
from collections.abc import Iterator

import yaml
from prometheus_client.parser import text_string_to_metric_families

from config.builtin import EXAMPLES
from daemon.metrics import Metrics

ALERTS = EXAMPLES / "prometheus" / "rowkeeper-alerts.yml"
DASHBOARD = EXAMPLES / "grafana" / "rowkeeper-dashboard.json"


def alert_expressions() -> dict[str, str]:
    (group,) = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    return {rule["alert"]: rule["expr"] for rule in group["rules"]}


def dashboard_expressions() -> Iterator[str]:
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:rowkeeper|process)_\w+", expression))


def known_names() -> set[str]:
    """Return every name of a sample that a daemon may tell, also of what has not happened yet."""
    known: set[str] = set()
    for family in text_string_to_metric_families(Metrics().text().decode()):
        known.add(family.name)
        if family.type == "counter":
            known.add(f"{family.name}_total")
        if family.type == "histogram":
            known |= {f"{family.name}_{part}" for part in ("bucket", "sum", "count")}
    return known


def test_every_alert_rule_names_numbers_that_are_told():
    rules = alert_expressions()
    assert rules["RowkeeperStuckTasks"] == "rowkeeper_stuck_tasks > 0"
    for name, expression in rules.items():
        assert names_in(expression) <= known_names(), name


def test_the_dashboard_shows_numbers_that_are_told():
    expressions = list(dashboard_expressions())
    shown = set().union(*map(names_in, expressions))
    assert shown <= known_names()
    for wanted in ("rowkeeper_stuck_tasks", "rowkeeper_gpu_seconds_total", "rowkeeper_server_up"):
        assert wanted in shown


def labels_of(name: str) -> set[str]:
    """Return what a number is told by, and what Prometheus adds."""
    return LABELS[re.sub(r"_(total|bucket|sum|count)$", "", name)] | {"job", "instance"}


def known_labels() -> dict[str, set[str]]:
    metrics = Metrics()
    for kind in (metrics.gauges, metrics.counters, metrics.histograms):
        for number in vars(kind).values():
            for count in range(1, 4):
                with contextlib.suppress(ValueError):  # it has more labels, fewer, or none
                    number.labels(*["x"] * count)
    return {
        family.name: {label for sample in family.samples for label in sample.labels}
        for family in text_string_to_metric_families(metrics.text().decode())
    }


LABELS = known_labels()


def test_rules_and_panels_ask_for_labels_that_the_numbers_bear():
    rules = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"][0]["rules"]
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    asked = [(rule["expr"], rule["annotations"]["summary"]) for rule in rules]
    asked += [(t["expr"], t.get("legendFormat", "")) for p in panels for t in p["targets"]]
    assert labels_of("rowkeeper_gpu_seconds_total") >= {"workflow_type", "server"}
    for expression, told in asked:
        chosen = re.findall(r"(\w+)\s*=~?\s*\"", expression)
        grouped = re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", expression)))
        shown = re.findall(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}", told)
        names = names_in(expression)
        borne = set().union(*map(labels_of, names)) if names else {"job", "instance"}
        assert {*chosen, *grouped, *shown} <= borne, expression


def test_panels_of_the_dashboard_do_not_overlap():
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
