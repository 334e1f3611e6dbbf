"""Tests with real processes get a second try where GELAP_SECOND_TRY=1 asks for it, are named then, and no others do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FAILS_ONCE = """
import pytest

setups, tries = [], []

@pytest.fixture(scope="module")
def cluster():
    setups.append("once")
    return setups

def test_fails_once(cluster):
    tries.append("once more")
    assert len(tries) == 2

def test_finds_what_the_first_test_had(cluster):
    assert len(cluster) == 1
"""
FAILS_ALWAYS = "def test_fails_always():\n    assert False\n"


@pytest.fixture
def tests(tmp_path: Path) -> Path:
    """Tests that fail, under the rules of the project's own."""
    folder = tmp_path / "tests"
    for kind in ("service", "e2e", "unit"):
        (folder / kind).mkdir(parents=True)
        (folder / kind / f"test_{kind}_sometimes.py").write_text(FAILS_ONCE)
    (folder / "service" / "test_service_always.py").write_text(FAILS_ALWAYS)
    shutil.copy(Path(__file__).parents[1] / "conftest.py", folder)
    return folder


def run(tests: Path, **variables: str) -> tuple[list[str], str]:
    """The names of the tests that failed and of those that were tried again, as the summary has them; all it said."""
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "--strict-markers", "-raR", "--import-mode=importlib", "--color=no", tests],
        cwd=tests.parent,
        env={name: value for name, value in os.environ.items() if name != "GELAP_SECOND_TRY"} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1, result.stdout + result.stderr
    words = [line.split() for line in result.stdout.splitlines() if line.startswith(("FAILED", "RERUN"))]
    return sorted({f"{outcome} {name.split('/')[-1]}" for outcome, name, *_ in words}), result.stdout


def test_what_runs_real_processes_is_tried_twice_and_named(tests: Path) -> None:
    named, said = run(tests, GELAP_SECOND_TRY="1")
    assert named == [
        "FAILED test_service_always.py::test_fails_always",
        "FAILED test_unit_sometimes.py::test_fails_once",
        "RERUN test_e2e_sometimes.py::test_fails_once",
        "RERUN test_service_always.py::test_fails_always",
        "RERUN test_service_sometimes.py::test_fails_once",
    ]
    (first_try,) = [part for part in said.split("= first try of ") if part.startswith("tests/e2e/")]
    assert "assert len(tries) == 2" in first_try


def test_without_the_variable_nothing_is(tests: Path) -> None:
    named, said = run(tests)
    assert named == [
        "FAILED test_e2e_sometimes.py::test_fails_once",
        "FAILED test_service_always.py::test_fails_always",
        "FAILED test_service_sometimes.py::test_fails_once",
        "FAILED test_unit_sometimes.py::test_fails_once",
    ]
    assert "first try" not in said
