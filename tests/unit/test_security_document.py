"""docs/security.md names real tests, and leaves out no known attack and nothing that must never happen."""

import ast
import itertools
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "security.md").read_text()
ATTACKS = range(1, 28)
# The list "What must never happen" of the protocol.
NEVER = (
    "value from nothing",
    "double spend",
    "double spend as x and x + r",
    "the same note in both inputs",
    "a deposit that over-claims",
    "somebody's permit used for another's note",
    "a changed receiver under a valid proof",
    "a changed relayer under a valid proof",
    "a changed fee under a valid proof",
    "a changed memo under a valid proof",
    "a changed deadline under a valid proof",
    "another chain under a valid proof",
    "another contract under a valid proof",
    "one proof through both entry points",
    "spending an empty leaf",
    "smuggling a leaf into the padding",
    "an out-of-range leaf index",
    "fee-on-transfer tokens that break the sums, on the way in",
    "fee-on-transfer tokens that break the sums, on the way out",
    "false-returning tokens that break the sums",
    "reentrant tokens that break the sums",
    "a verification key whose gamma equals delta",
    "a verification key with a zero point",
    "a verifier that returns false without reverting",
    "a queue that one party can block",
    "a memo that stops a scan",
    "one witness value changed and the constraints still satisfied",
)
OPEN_POINTS = (
    "development",
    "Rebasing tokens",
    "freeze",
    "quantum computer",
    "bearer transaction",
    "Odd amounts",
    "remote prover",
    "Not constant time",
)
DEFINITIONS = {".py": "def {}(", ".sol": "function {}("}

Row = list[str]


def section(document: str, title: str) -> str:
    """The text under a heading of the second level."""
    _, found, rest = document.partition(f"\n## {title}\n")
    assert found, f"there is no section {title}"
    return rest.partition("\n## ")[0]


def rows(text: str) -> list[Row]:
    """The rows of the one table in a section, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def named_tests(text: str) -> list[tuple[str, str]]:
    return re.findall(r"`([\w.]+)::(\w+)`", text)


@cache
def files_by_name() -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "contracts" / "test").glob("*.t.sol")]:
        found.setdefault(path.name, []).append(path)
    return found


def missing_tests(text: str) -> list[str]:
    """What a text names that is no test: no such file, a name of two files, no such function, or no test's name."""
    missing = []
    for file, name in named_tests(text):
        paths = files_by_name().get(file, [])
        collected = name.startswith(("test_", "testFuzz_", "invariant_"))
        definition = re.escape(DEFINITIONS.get(Path(file).suffix, "").format(name))
        if len(paths) != 1 or not collected or not re.search(rf"^ *{definition}", paths[0].read_text(), re.M):
            missing.append(f"{file}::{name}")
    return missing


def code_that_is_no_test(text: str) -> list[str]:
    """Code in a cell of tests that is not of the form `file::test`, a typing mistake for one."""
    return [code for code in re.findall(r"`([^`]*)`", text) if not re.fullmatch(r"[\w.]+::\w+", code)]


def test_every_named_test_exists() -> None:
    assert len(named_tests(DOCUMENT)) > 100
    assert missing_tests(DOCUMENT) == []


@pytest.mark.parametrize(
    "named",
    [
        "test_missing.py::test_something",
        "test_security_document.py::test_that_nobody_wrote",
        "test_security_document.py::missing_tests",
        "Spend.t.sol::test_Nothing",
        "Spend.t.sol::setUp",
        "conftest.py::test_every_named_test_exists",
    ],
)
def test_a_name_that_is_no_test_would_be_noticed(named: str) -> None:
    assert missing_tests(f"see `{named}`") == [named]


def test_every_attack_has_its_row() -> None:
    attacks = rows(section(DOCUMENT, "Known attacks"))
    assert [int(row[0]) for row in attacks] == list(ATTACKS)
    for row in attacks:
        assert len(row) == 4, row
        assert all(row), row
        # Without a test there must be a sentence that says why.
        assert named_tests(row[3]) or ("Open" in row[2] and len(row[3]) > 20), row
        assert code_that_is_no_test(row[3]) == []


def explained(file: str, name: str) -> str:
    """The docstring of a test, or the comment above it."""
    path = files_by_name()[file][0]
    text = path.read_text()
    if path.suffix == ".py":
        functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef))
        return next(ast.get_docstring(node) or "" for node in functions if node.name == name)
    above = text[: text.index(f"function {name}(")].rstrip().splitlines()
    comment = list(itertools.takewhile(lambda line: line.strip().startswith("///"), reversed(above)))
    return "\n".join(reversed(comment))


def test_a_test_of_each_attack_names_its_row() -> None:
    """As in "Attack rows 9, 10 and 22" or "attacks.md 9"."""
    for row in rows(section(DOCUMENT, "Known attacks")):
        named = rf"[Aa]ttacks?(\.md)?( rows?)? [\d, and]*\b{row[0]}\b"
        tests = named_tests(row[3])
        assert not tests or any(re.search(named, explained(*test)) for test in tests), row[:2]


def test_everything_that_must_never_happen_is_tried() -> None:
    entries = rows(section(DOCUMENT, "What must never happen"))
    assert [row[0] for row in entries] == list(NEVER)
    for row in entries:
        assert len(row) == 2, row
        assert named_tests(row[1]), row
        assert code_that_is_no_test(row[1]) == []


@pytest.mark.parametrize("point", OPEN_POINTS)
def test_what_stays_open_is_said(point: str) -> None:
    assert point in section(DOCUMENT, "Said openly")


def test_a_row_that_is_missing_would_be_noticed() -> None:
    without = "".join(line for line in DOCUMENT.splitlines(keepends=True) if not line.startswith("| 13 |"))
    assert [row[0] for row in rows(section(without, "Known attacks"))] == [str(n) for n in ATTACKS if n != 13]
    with pytest.raises(AssertionError, match="no section"):
        section(DOCUMENT.replace("## Known attacks", "## Attacks"), "Known attacks")
