"""Deep JSON is refused before it is parsed, however high somebody has raised the recursion limit."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.json_nesting import nests_deeper_than

DOCUMENTS = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


def depth(document) -> int:
    if isinstance(document, dict):
        document = list(document.values())
    return 1 + max(map(depth, document), default=0) if isinstance(document, list) else 0


@given(DOCUMENTS)
def test_the_depth_found_in_the_text_is_the_documents(document):
    text = json.dumps(document)
    assert not nests_deeper_than(text, depth(document))
    assert depth(document) == 0 or nests_deeper_than(text, depth(document) - 1)


@pytest.mark.parametrize(
    "text", ['"]]]]"' + "[" * 9, '["\\"]]]]",' + "[" * 8, "{" * 9, '["' + "x" * 100_000 + '"' + "[" * 9]
)
def test_brackets_in_strings_neither_hide_nor_make_depth(text):
    assert nests_deeper_than(text, 8)


def test_brackets_inside_a_string_do_not_count():
    assert not nests_deeper_than('["[[[[[["]', 1)


@pytest.mark.parametrize(
    "parse",
    [
        "from protocol.input_encoding import decode_inputs; decode_inputs(b'{\"a\":' + b'[' * 1_000_000)",
        "from prover.formats.proof import Proof; Proof.from_json('[' * 1_000_000)",
    ],
)
def test_a_raised_recursion_limit_lets_no_document_crash_the_process(parse):
    program = f"import sys; sys.setrecursionlimit(10_000_000)\n{parse}"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 1  # an exception, not a signal
    assert "Error: " in result.stderr.splitlines()[-1]
