"""Witnesses of a batch on the GPU, run by the shim: the witnesses and errors of the CPU, each in its place."""

import random

import numpy as np
import pytest

from protocol.field import R
from prover.circuit.builder import Builder
from prover.circuit.compile import Circuit, compile_circuit
from prover.circuit.gadgets.bits import is_nonzero, to_bits
from prover.circuit.linear import weighted_sum
from prover.circuit.program import Opcode
from prover.errors import InputError, UnsatisfiedError
from prover.kernels.cuda.shim_device import ShimDevice
from prover.limbs import from_limbs, to_limbs
from prover.statements import registry
from prover.witness import cpu
from prover.witness.cuda import LONG_ROW, DeviceWitness, proofs_of_a_block
from prover.witness.schedule_cuda import BIT, INVERSE, LINEAR, PRODUCT, Schedule, longest_chain, make_schedule
from tests.unit.circuit.sample_statements import dummy, honest_insertion, honest_spend, honest_spend_of
from tests.unit.cuda.law_support import ARITHMETIC, law_device

DEVICE = ShimDevice()
EDGES = [0, 1, 2, 3, R - 1, R - 2, (R - 1) // 2, (R + 1) // 2, 1 << 30, 1 << 32, 1 << 253, (1 << 256) % R]
# 2^256 modulo r as a Montgomery form is the number 1; its powers have few or many bits set in memory.
EDGES += [pow(1 << 256, -1, R), (R - 1) * pow(1 << 256, -1, R) % R]


def _solver(name: str, made: dict[str, DeviceWitness] = {}) -> DeviceWitness:  # noqa: B006
    if name not in made:
        made[name] = DeviceWitness(DEVICE, registry.build(name))
    return made[name]


def _arrays(solver: DeviceWitness, batch: int, device: ShimDevice = DEVICE) -> list[np.ndarray]:
    """Witness, scratch and failures."""
    return [
        device.empty(shape, np.uint32)
        for shape in ((solver.n_wires, batch, 8), (solver.n_scratch, batch, 8), (2, batch))
    ]


def _execute(
    solver: DeviceWitness, inputs: np.ndarray, check: bool = False, device: ShimDevice = DEVICE
) -> tuple[np.ndarray, np.ndarray]:
    """inputs: uint64 (batch, n_inputs, 4). Returns witnesses, uint64 (batch, n_wires, 4), and failures."""
    batch = len(inputs)
    witness, scratch, failures = _arrays(solver, batch, device)
    on_device = device.upload(np.ascontiguousarray(inputs.transpose(1, 0, 2)).view(np.uint32))
    solver.compute(on_device, witness, scratch, failures, check)
    witnesses = device.download(witness).view(np.uint64)
    return np.ascontiguousarray(witnesses.transpose(1, 0, 2)), device.download(failures)


def _random_inputs(circuit: Circuit, batch: int, seed: int = 1) -> np.ndarray:
    source = random.Random(seed)
    count = batch * circuit.program.n_inputs
    values = (source.choice(EDGES) if source.random() < 0.5 else source.randrange(R) for _ in range(count))
    return to_limbs(values).reshape(batch, -1, 4)


def _changed(inputs, name, value):
    return {**inputs, name: value}


@pytest.mark.parametrize("name", ["spend_2x2", "insert_64"])
@pytest.mark.parametrize("batch", [1, 3, 33])
def test_a_program_computes_what_the_cpu_computes_from_any_inputs(name, batch):
    circuit = registry.build(name)
    inputs = _random_inputs(circuit, batch)
    witnesses, _ = _execute(_solver(name), inputs)
    assert np.array_equal(witnesses, cpu.execute(circuit, inputs))


@pytest.mark.parametrize(
    ("name", "statements"),
    [
        ("spend_2x2", [honest_spend(), honest_spend(second=dummy()), honest_spend(public_amount=0)]),
        ("insert_64", [honest_insertion().inputs()]),
        pytest.param(
            "spend_8x2", [honest_spend_of(8, 2), honest_spend_of(8, 2, real=3)], marks=pytest.mark.slow, id="spend_8x2"
        ),
    ],
)
def test_honest_statements_have_the_witnesses_of_the_cpu(name, statements):
    assert np.array_equal(_solver(name).solve(statements), cpu.solve(registry.build(name), statements))
    assert np.array_equal(_solver(name).solve(statements[0]), cpu.solve(registry.build(name), statements[0]))


BROKEN_SPENDS = [
    _changed(honest_spend(), "root", 5),
    _changed(honest_spend(), "publicAmount", 31),
    _changed(honest_spend(), "s", 1),
    _changed(honest_spend(), "outAmount", [R - 1, 121]),
]


@pytest.mark.parametrize("inputs", BROKEN_SPENDS, ids=["root", "amount", "signature", "range"])
def test_a_broken_statement_has_the_error_of_the_cpu(inputs):
    with pytest.raises(UnsatisfiedError) as expected:
        cpu.solve(registry.build("spend_2x2"), inputs)
    with pytest.raises(UnsatisfiedError) as caught:
        _solver("spend_2x2").solve(inputs)
    assert str(caught.value) == str(expected.value)


def test_a_broken_statement_does_not_touch_the_others_of_its_batch():
    solver = _solver("spend_2x2")
    missing = honest_spend()
    del missing["root"]
    batch = [honest_spend(), BROKEN_SPENDS[0], _changed(honest_spend(), "s", R), honest_spend(second=dummy()), missing]
    witnesses, outcomes = solver.solve_each(batch)
    assert [type(outcome) for outcome in outcomes] == [type(None), UnsatisfiedError, InputError, type(None), InputError]
    assert "statement 1 of the batch cannot be proved; false at: input 0: membership" in str(outcomes[1])
    assert "the input s must be" in str(outcomes[2])
    assert "root of spend_2x2 is missing" in str(outcomes[4])
    for place in (0, 3):
        found = np.ascontiguousarray(DEVICE.download(witnesses)[:, place]).view(np.uint64)
        assert np.array_equal(found, cpu.solve(registry.build("spend_2x2"), batch[place])[0])
    with pytest.raises(UnsatisfiedError, match="statement 1 of the batch"):
        solver.solve(batch)


def test_inputs_that_are_not_below_the_modulus_are_named_and_not_shown():
    solver = _solver("spend_2x2")
    inputs = np.repeat(_random_inputs(registry.build("spend_2x2"), 1), 4, axis=0)
    inputs[1, 0] = to_limbs([R])
    inputs[2, 2:] = to_limbs([(1 << 256) - 1])
    inputs[3, -1] = to_limbs([R - 1])
    _, failures = _execute(solver, inputs)
    outcomes = solver.outcomes(failures)
    assert outcomes[0] is None
    assert outcomes[3] is None
    assert str(outcomes[1]) == "the input root must be at least 0 and below the field's modulus"
    assert "the input nullifier[1] must be" in str(outcomes[2])
    assert isinstance(outcomes[1], InputError)


def test_the_first_broken_constraint_is_the_one_the_cpu_finds():
    circuit = registry.build("insert_64")
    inputs = _random_inputs(circuit, 2)
    witnesses, failures = _execute(_solver("insert_64"), inputs, check=True)
    found = [0xFFFFFFFF - number for number in failures[1].tolist()]
    assert found == [cpu.first_violation(circuit.r1cs, witness) for witness in witnesses]


def _inverses(count: int) -> Circuit:
    builder = Builder("inverses")
    for value in builder.private_inputs("x", count):
        builder.product(value, builder.hint_inverse(value))
    return compile_circuit(builder)


@pytest.mark.parametrize("arithmetic", ARITHMETIC)
def test_inverses_are_inverses_and_that_of_zero_is_zero(arithmetic):
    device = law_device(arithmetic)
    circuit = _inverses(64)
    source = random.Random(3)
    # Besides edges: small and large numbers, and few bits, both of the number and of its Montgomery form.
    values = [*EDGES, *range(1, 60), *(pow(2, i, R) for i in range(300)), *(R - 1 - pow(2, i, R) for i in range(254))]
    values += [source.randrange(R) for _ in range(64 * 32 - len(values))]
    inputs = to_limbs(values).reshape(32, 64, 4)
    witnesses, _ = _execute(DeviceWitness(device, circuit), inputs, device=device)
    assert np.array_equal(witnesses, cpu.execute(circuit, inputs))
    # The wires after the inputs are each inverse and the product: an inverse as such, not as the CPU has it.
    for row, statement in zip(witnesses, np.array(values, dtype=object).reshape(32, 64), strict=True):
        rest = from_limbs(row[65:])
        assert sorted(rest) == sorted(
            x for value in statement for x in (pow(value, -1, R) if value else 0, int(value != 0))
        )


def test_bits_are_those_of_the_canonical_number():
    builder = Builder("bits")
    value = builder.private_input("x")
    for bit in builder.hint_bits(value, 254):
        builder.constrain(bit, bit, bit)
    builder.constrain(value, 0, 0)
    builder.product(value, value)
    circuit = compile_circuit(builder)
    inputs = to_limbs(EDGES).reshape(-1, 1, 4)
    witnesses, failures = _execute(DeviceWitness(DEVICE, circuit), inputs, check=True)
    assert np.array_equal(witnesses, cpu.execute(circuit, inputs))
    assert not failures.any()
    for witness, number in zip(witnesses, EDGES, strict=True):
        wires = from_limbs(witness)
        assert sum(bit << i for i, bit in enumerate(wires[2:256])) == number


def _long_sums() -> Circuit:
    """Rows and combinations longer than a warp handles at once."""
    builder = Builder("long sums")
    result = builder.public_input("result")
    values = builder.private_inputs("x", LONG_ROW + 45)
    builder.constrain(weighted_sum((i * i + 3, value) for i, value in enumerate(values)), sum(values), result)
    total = builder.hint(weighted_sum((R - 1 - i, value) for i, value in enumerate(values)))
    builder.constrain(total, 1 - is_nonzero(builder, total), 0)
    to_bits(builder, values[0], 8)
    return compile_circuit(builder)


@pytest.mark.parametrize("batch", [1, 5])
def test_rows_that_a_warp_shares_are_computed_and_checked(batch):
    circuit = _long_sums()
    solver = DeviceWitness(DEVICE, circuit)
    source = random.Random(9)
    statements = []
    for place in range(batch):
        values = [source.randrange(256), *(source.randrange(R) for _ in range(LONG_ROW + 44))]
        result = sum((i * i + 3) * x for i, x in enumerate(values)) * sum(values) % R
        statements.append({"result": (result + (place == 2)) % R, "x": values})
    _, outcomes = solver.solve_each(statements)
    assert [outcome is None for outcome in outcomes] == [place != 2 for place in range(batch)]


def test_the_sequence_can_be_captured_and_run_again():
    circuit = _long_sums()
    solver = DeviceWitness(DEVICE, circuit)
    inputs = DEVICE.zeros((solver.n_inputs, 2, 8), np.uint32)
    witness, scratch, failures = _arrays(solver, 2)
    graph = DEVICE.capture(lambda: solver.compute(inputs, witness, scratch, failures))
    for seed in (1, 2):
        values = _random_inputs(circuit, 2, seed)
        DEVICE.copy(inputs, np.ascontiguousarray(values.transpose(1, 0, 2)).view(np.uint32))
        graph.launch()
        found = DEVICE.download(witness).view(np.uint64).transpose(1, 0, 2)
        assert np.array_equal(found, cpu.execute(circuit, values))


def test_memory_is_counted():
    before = DEVICE.memory()[0]
    solver = DeviceWitness(DEVICE, _inverses(5))
    assert before - DEVICE.memory()[0] == solver.nbytes
    arrays = [DEVICE.zeros((solver.n_inputs, 3, 8), np.uint32), *_arrays(solver, 3)]
    assert sum(array.nbytes for array in arrays) == 3 * solver.bytes_per_proof()


def test_no_statement_is_an_empty_batch():
    assert _solver("spend_2x2").solve([]).shape == (0, _solver("spend_2x2").n_wires, 4)


def test_arrays_of_another_shape_are_errors():
    solver = DeviceWitness(DEVICE, _inverses(2))
    inputs = DEVICE.zeros((2, 1, 8), np.uint32)
    witness, scratch, failures = _arrays(solver, 1)
    with pytest.raises(ValueError, match="rows of inputs"):
        solver.compute(inputs[:1], witness, scratch, failures)
    with pytest.raises(ValueError, match="rows of inputs"):
        solver.compute(inputs, witness[1:], scratch, failures)
    with pytest.raises(ValueError, match="scratch"):
        solver.compute(inputs, witness, _arrays(solver, 2)[1], failures)


@pytest.mark.parametrize(("batch", "proofs"), [(1, 1), (2, 2), (3, 4), (31, 32), (32, 32), (1000, 32)])
def test_a_block_takes_whole_warps_of_proofs(batch, proofs):
    assert proofs_of_a_block(batch) == proofs


def _simulate(schedule: Schedule, circuit: Circuit, inputs: list[int]) -> list[int]:
    """A schedule in plain Python. All operations of a step read before any writes; no row is both written and read."""
    constants = from_limbs(circuit.program.constants)
    rows = [None] * schedule.n_rows
    rows[: 1 + len(inputs)] = [1, *inputs]
    terms = schedule.terms.tolist()
    for start, end in zip(schedule.step_ptr, schedule.step_ptr[1:], strict=False):
        read, written = set(), {}
        for kind, target, first, counts in schedule.operations[start:end].tolist():
            n_left, right = counts & 0xFFFF, counts >> 16
            n_right = right if kind == PRODUCT else 0
            sides = terms[first : first + n_left], terms[first + n_left : first + n_left + n_right]
            read.update(row for side in sides for row, _ in side)
            left, other = (sum(constants[c] * rows[row] for row, c in side) % R for side in sides)
            assert target not in written
            written[target] = {
                LINEAR: lambda left=left: left,
                PRODUCT: lambda left=left, other=other, n=n_right: left * (other if n else left) % R,
                INVERSE: lambda left=left: pow(left, -1, R) if left else 0,
                BIT: lambda left=left, right=right: left >> right & 1,
            }[kind]()
        assert not read & written.keys()
        for row, value in written.items():
            rows[row] = value
    return rows[: schedule.n_wires]


@pytest.mark.parametrize("name", ["spend_2x2", "insert_64"])
@pytest.mark.parametrize("workers", [1, 8])
def test_a_schedule_never_reads_what_its_step_writes_and_gives_the_witness(name, workers):
    circuit = registry.build(name)
    schedule = make_schedule(circuit.program, workers)
    inputs = _random_inputs(circuit, 1, seed=4)
    assert _simulate(schedule, circuit, from_limbs(inputs[0])) == from_limbs(cpu.execute(circuit, inputs)[0])
    assert np.diff(schedule.step_ptr).max() <= workers
    assert schedule.n_rows - schedule.n_wires < 200


@pytest.mark.parametrize(("name", "chain", "steps"), [("spend_2x2", 9380, 9517), ("insert_64", 8345, 10603)])
def test_the_steps_of_the_documentation_are_those_of_the_circuits(name, chain, steps):
    program = registry.build(name).program
    assert longest_chain(program) == chain
    assert make_schedule(program).n_steps == steps


def test_a_product_with_nothing_is_zero_and_values_no_wire_needs_are_not_computed():
    builder = Builder("nothing")
    x = builder.private_input("x")
    zero = builder.hint_product(x, x - x)
    builder.hint_inverse(x)
    builder.constrain(zero + x, x, builder.product(x, x))
    circuit = compile_circuit(builder)
    assert np.count_nonzero(circuit.program.opcode == Opcode.INVERSE) == 1
    schedule = make_schedule(circuit.program)
    assert sorted(schedule.operations[:, 0].tolist()) == [LINEAR, PRODUCT]
    assert DeviceWitness(DEVICE, circuit).solve({"x": 7}).shape == (1, circuit.r1cs.n_wires, 4)
