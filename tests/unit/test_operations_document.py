"""What operators read is true: the tests it names exist, and its tables have what the code has."""

import ast
import re
from pathlib import Path

from worker.limits import Limits
from worker.metrics import Metrics

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "operations.md").read_text()


def section(title):
    return TEXT.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def names_of_service_tests():
    names = set()
    for path in (ROOT / "tests" / "service").rglob("test_*.py"):
        names |= {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}
    return names


def test_every_scenario_names_a_test_that_exists():
    known = names_of_service_tests()
    scenarios = rows(section("When things fail"))[2:]
    for _, _, shown_by in scenarios:
        named = re.findall(r"`(\w+)`", shown_by)
        assert named
        assert set(named) <= known


def test_no_test_of_the_chaos_suite_against_a_lost_part_is_left_out():
    text = section("When things fail")
    for module in (
        "test_lost_workers.py",
        "test_lost_servers.py",
        "test_unruly_clients.py",
        "test_kills_under_load.py",
    ):
        tree = ast.parse((ROOT / "tests" / "service" / "chaos" / module).read_text())
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert f"`{node.name}`" in text


def test_the_limits_are_those_of_the_code():
    found = {row[0].strip("`"): (row[1], row[2]) for row in rows(section("Looking at the cluster"))[2:]}
    expected = {
        f"GELAP_LIMIT_{name.upper()}": (f"{field.default:g}", field.description)
        for name, field in Limits.model_fields.items()
    }
    assert found == expected


def test_the_workers_metrics_are_those_of_the_code():
    described = set(re.findall(r"`(gelap_worker_\w+)`", TEXT))
    ours = {
        metric.name + ("_total" if metric.type == "counter" else "")
        for metric in Metrics().registry.collect()
        if metric.name.startswith("gelap_")
    }
    assert described == ours
