"""What the operators' manual says of metrics and of the log is what there is."""

import re

from catena_core.monitoring.metrics import Metrics
from tests.helpers.documents import ROOT
from tests.helpers.log_lines import logged_lines

TEXT = (ROOT / "docs/operating.md").read_text()


def rows(title):
    """Read the cells of the table in a section."""
    section = TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in re.findall(r"^\| ?`.*\|$", section, re.MULTILINE)
    ]


def test_every_metric_is_told_with_its_labels():
    metrics = Metrics()
    metrics.consumed("t", 0, 1)
    for count in (metrics.produced, metrics.dead_letters):
        count("t", 1)
    metrics.failed("t"), metrics.retried("t"), metrics.transaction("committed"), metrics.transform_seconds("t", 1.0)
    there = {}
    for family in metrics.registry.collect():
        if family.name.startswith("catena_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            there[name] = labels if family.samples else None
    told = {cells[0].strip("`"): set(filter(None, cells[1].split(", "))) for cells in rows("Metrics")}
    assert told.keys() == there.keys()
    assert {name: labels for name, labels in told.items() if there[name] is not None} == {
        name: labels for name, labels in there.items() if labels is not None
    }


def test_every_warning_and_error_of_the_log_is_told():
    told = {cells[0].strip("`") for cells in rows("Log")}
    there = logged_lines()
    assert {line: file for line, file in there.items() if line not in told} == {}
    assert told - there.keys() == set()
