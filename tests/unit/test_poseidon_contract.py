"""The assembly of PoseidonT4.sol is the hash H3: by regeneration, by bounds on every sum, and by running it here."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.tools import generate_poseidon
from contracts.tools.poseidon_form import evaluate, optimised_form
from protocol.field import R
from protocol.poseidon import poseidon

WORD = 1 << 256
elements = st.integers(0, R - 1)


@pytest.fixture(scope="module")
def assembly():
    """The statements `name := expression` of the assembly block, in order; both sides are valid Python."""
    statements = re.findall(r"^ {12}(?:let )?(\w+) := (.*)$", generate_poseidon.source(), re.MULTILINE)
    assert len(statements) > 400
    return statements


def run(statements, inputs, operations):
    state = dict(zip("abc", inputs, strict=True))
    for name, expression in statements:
        state[name] = eval(expression, operations, state)
    return state["result"]


def test_the_committed_source_is_what_the_generator_writes():
    assert generate_poseidon.TARGET.read_text() == generate_poseidon.source()


@pytest.fixture(scope="module", params=[1, 2, 3, 4])
def sized_form(request):
    return request.param, optimised_form(request.param)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_the_optimised_form_equals_the_reference(sized_form, data):
    n_inputs, form = sized_form
    inputs = data.draw(st.lists(elements, min_size=n_inputs, max_size=n_inputs))
    assert evaluate(form, inputs) == poseidon(inputs)


@settings(max_examples=100, deadline=None)
@given(inputs=st.lists(elements, min_size=3, max_size=3))
def test_the_assembly_equals_the_reference(assembly, inputs):
    operations = {
        "add": lambda a, b: (a + b) % WORD,
        "addmod": lambda a, b, m: (a + b) % m,
        "mulmod": lambda a, b, m: a * b % m,
        "mod": lambda a, m: a % m,
    }
    assert run(assembly, inputs, operations) == poseidon(inputs)


def test_no_sum_in_the_assembly_can_wrap(assembly):
    """Run it on upper bounds instead of values: a plain addition must stay below 2^256 for the largest operands."""
    sums = []

    def add(a, b):
        sums.append(a + b)
        return a + b

    # The bound of a reduced value is m - 1; the modulus itself is a constant, exact as its own bound.
    reduced = {
        "addmod": lambda a, b, m: m - 1,
        "mulmod": lambda a, b, m: m - 1,
        "mod": lambda a, m: m - 1,
    }
    run(assembly, [WORD - 1] * 3, {"add": add, **reduced})
    assert len(sums) > 300
    assert max(sums) < WORD
