"""Attack 15: no wire of a witness can be changed, neither one alone nor many together."""

import random
from functools import cache

import numpy as np
import pytest

from protocol.field import R
from prover.circuit.compile import Circuit
from prover.limbs import from_limbs, to_limbs
from prover.statements import registry
from prover.witness import cpu
from prover.witness.inputs import flatten_inputs
from tests.unit.circuit.forging import changeable_wires, run_program, undetermined_wires
from tests.unit.circuit.sample_statements import dummy, honest_insertion, honest_spend, honest_spend_of

LARGE = "consolidation of five notes"
STATEMENTS = {
    "withdrawal": ("spend_2x2", honest_spend()),
    "private transfer of one note": ("spend_2x2", honest_spend(second=dummy(), public_amount=0)),
    "a note for the relayer": ("spend_2x3", honest_spend_of(2, 3)),
    LARGE: ("spend_8x2", honest_spend_of(8, 2, real=5, public_amount=0)),
    "insertion": ("insert_64", honest_insertion().inputs()),
}
SAMPLES = 250
# Of the large one fewer: every wire of it is looked at exactly below.
SAMPLES_OF_LARGE = 80


@cache
def solved(name: str) -> tuple[Circuit, np.ndarray]:
    circuit_name, inputs = STATEMENTS[name]
    circuit = registry.build(circuit_name)
    return circuit, cpu.solve(circuit, inputs)[0]


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_change_of_any_wire_breaks_a_constraint(name: str) -> None:
    """A sample of wires, half of them inputs as far as there are so many, through the checker itself."""
    circuit, witness = solved(name)
    chance = random.Random(name)
    first_internal = 1 + circuit.program.n_inputs
    samples = SAMPLES_OF_LARGE if name == LARGE else SAMPLES
    inputs = chance.sample(range(1, first_internal), min(samples // 2, circuit.program.n_inputs))
    internal = chance.sample(range(first_internal, circuit.r1cs.n_wires), samples - len(inputs))
    checker = cpu.ConstraintChecker(circuit.r1cs)
    unnoticed = []
    for wire in [*inputs, *internal]:
        changed = witness.copy()
        (old,) = from_limbs(witness[wire])
        new = chance.choice([old + 1, old - 1, 1 - old, -old, chance.randrange(R)]) % R
        changed[wire] = to_limbs([new if new != old else (old + 1) % R])[0]
        if checker.first_violation(changed) is None:
            unnoticed.append(wire)
    assert unnoticed == []
    assert checker.first_violation(witness) is None


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_wire_alone_can_take_any_other_value(name: str) -> None:
    """All wires and all values, by the constraints' exact dependence on each wire."""
    assert changeable_wires(*solved(name)) == []


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name == LARGE else []) for name in STATEMENTS]
)
def test_no_set_of_internal_wires_can_move_together(name: str) -> None:
    """Given the inputs, the constraints' derivative has full rank: nothing is assigned but not constrained."""
    assert undetermined_wires(*solved(name)) == []


@pytest.mark.parametrize("name", STATEMENTS)
def test_the_kernel_computes_what_the_program_says(name: str) -> None:
    """The compiled kernel against the same instructions carried out on Python integers."""
    circuit, witness = solved(name)
    registers = run_program(circuit.program, flatten_inputs(circuit, STATEMENTS[name][1]))
    assert from_limbs(witness) == [registers[register] for register in circuit.program.wire_register.tolist()]
