"""What the gateway counts and refuses is in the documents for operators."""

from pathlib import Path

from gateway import metrics
from gateway.status import STATUS
from worker.overview import Overview

DOCS = Path(__file__).parents[2] / "docs"
STANDARD = ("process_", "python_")


def test_every_metric_is_in_the_operators_table():
    text = (DOCS / "operations.md").read_text()
    metrics.CLUSTER.show(Overview(running=0, circuits=(), counters={}), [], [])
    found = 0
    for family in metrics.REGISTRY.collect():
        if not family.name.startswith(STANDARD):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            assert f"`{name}`" in text, name
            found += 1
    assert found >= 17


def test_every_refusal_is_in_the_callers_table_with_its_status():
    table = (DOCS / "cluster.md").read_text().partition("| what went wrong |")[2].partition("\n\n")[0]
    rows = table.splitlines()
    for kind, status in STATUS.items():
        found = [row for row in rows if f"`{kind.name}`" in row]
        assert len(found) == 1, kind.name
        assert status.code.name in found[0], kind.name
        assert str(status.http) in found[0], kind.name
