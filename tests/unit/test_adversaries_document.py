"""docs/adversaries.md has everybody a user depends on, and a test or a reason for each thing that it says of them."""

from pathlib import Path

import pytest

from tests.unit.test_security_document import code_that_is_no_test, missing_tests, named_tests, rows, section

DOCUMENT = (Path(__file__).parents[2] / "docs" / "adversaries.md").read_text()
# What every user depends on; and whom else one has to do with.
MAIN = ("A prover", "An indexer", "A relayer", "A chain node", "A chain analyst")
OTHERS = (
    "A sequencer",
    "A counterparty",
    "A token's issuer",
    "Somebody with your files, or the operator's",
    "Coalitions",
)
KINDS = ("learns", "can", "cannot")
NO_TEST = "no test: "


def test_every_named_test_exists() -> None:
    assert len(named_tests(DOCUMENT)) > 100
    assert missing_tests(DOCUMENT) == []


def test_nobody_is_left_out_and_nobody_else_is_there() -> None:
    headings = [line[3:] for line in DOCUMENT.splitlines() if line.startswith("## ")]
    assert headings == [*MAIN, *OTHERS]


@pytest.mark.parametrize("name", [*MAIN, *OTHERS])
def test_every_row_has_a_test_or_a_reason(name: str) -> None:
    text = section(DOCUMENT, name)
    found = rows(text)
    kinds = [row[0] for row in found]
    assert set(kinds) <= set(KINDS)
    assert kinds == sorted(kinds, key=KINDS.index), "learns, can, cannot: in this order"
    for row in found:
        assert len(row) == 3, row
        assert len(row[1]) > 20, row
        tests = named_tests(row[2])
        assert bool(tests) != row[2].startswith(NO_TEST), row
        assert code_that_is_no_test(row[2]) == []
        if not tests:
            assert len(row[2]) > len(NO_TEST) + 30, row


@pytest.mark.parametrize("name", MAIN)
def test_of_each_main_adversary_all_three_are_said_and_mostly_shown(name: str) -> None:
    found = rows(section(DOCUMENT, name))
    for kind in KINDS:
        assert sum(row[0] == kind for row in found) >= 2, kind
    assert sum(bool(named_tests(row[2])) for row in found) >= 0.75 * len(found)


@pytest.mark.parametrize("name", [*MAIN, *OTHERS])
def test_people_are_told_what_to_do(name: str) -> None:
    _, found, advice = section(DOCUMENT, name).partition("\n**What to do.** ")
    assert found
    assert len(advice.strip()) > 30
