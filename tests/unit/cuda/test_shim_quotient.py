"""The quotient of a batch of proofs on the GPU, run by the shim: what the CPU computes for each, scalar by scalar."""

import random

import numpy as np
import pytest

from protocol.field import R
from prover.groth16.quotient import quotient
from prover.groth16.quotient_cuda import LONG_ROW, DeviceQuotient
from prover.kernels.cuda.shim_device import ShimDevice
from prover.limbs import from_limbs, to_limbs
from prover.ntt.domain import root_of_unity
from prover.r1cs import SparseMatrix
from prover.statements import registry
from prover.witness import cpu
from tests.unit.circuit.sample_statements import dummy, honest_spend
from tests.unit.cuda.law_support import ARITHMETIC, law_device
from tests.unit.groth16 import samples

DEVICE = ShimDevice()
_R2 = (1 << 512) % R
_SPECIAL = (0, 1, 2, R - 1, R - 2, (R + 1) // 2, 1 << 128)


def _matrix(lengths: list[int], n_wires: int, source: random.Random) -> tuple[SparseMatrix, list[dict[int, int]]]:
    """A matrix as in a ZKey with rows of these lengths, and the same as {wire: coefficient}."""
    rows = []
    for length in lengths:
        wires = sorted(source.sample(range(n_wires), length))
        rows.append({wire: source.choice([*_SPECIAL, source.randrange(R)]) for wire in wires})
    matrix = samples.matrix([{wire: value * _R2 % R for wire, value in row.items()} for row in rows])
    return matrix, rows


def _witness(n_wires: int, source: random.Random) -> np.ndarray:
    return to_limbs([1, *(source.choice([*_SPECIAL, source.randrange(R)]) for _ in range(n_wires - 1))])


def _compute(device_quotient: DeviceQuotient, witnesses: list[np.ndarray], device: ShimDevice = DEVICE) -> np.ndarray:
    """uint64 (batch, n, 4)."""
    batch = len(witnesses)
    on_device = device.upload(np.ascontiguousarray(np.stack(witnesses, axis=1)).view(np.uint32))
    scalars = device.empty((device_quotient.domain_size, batch, 8), np.uint32)
    workspace = device.empty(device_quotient.workspace_shape(batch), np.uint32)
    device_quotient.compute(on_device, scalars, workspace)
    return np.ascontiguousarray(device.download(scalars).view(np.uint64).transpose(1, 0, 2))


@pytest.mark.parametrize("log_n", [1, 2, 5, 8, 12])
@pytest.mark.parametrize("batch", [1, 3, 8])
def test_a_batch_agrees_with_the_cpu_proof_by_proof(log_n, batch):
    source = random.Random(log_n)
    n_wires, n = LONG_ROW + 60, 1 << log_n
    lengths = [source.choice([0, 1, 1, 1, 2, 5]) for _ in range(n)]
    lengths[0], lengths[-1] = LONG_ROW + 40, LONG_ROW
    a, _ = _matrix(lengths, n_wires, source)
    b, _ = _matrix(lengths[::-1], n_wires, source)
    witnesses = [_witness(n_wires, source) for _ in range(batch)]
    result = _compute(DeviceQuotient(DEVICE, a, b, n_wires), witnesses)
    for scalars, witness in zip(result, witnesses, strict=True):
        assert np.array_equal(scalars, quotient(a, b, witness))
    assert max(from_limbs(result.reshape(-1, 4))) < R


def test_the_scalars_are_the_values_of_uv_minus_w_on_the_odd_coset():
    source = random.Random(5)
    n, n_wires = 8, 12
    a, a_rows = _matrix([3, 0, 1, 2, 12, 1, 1, 0], n_wires, source)
    b, b_rows = _matrix([1, 4, 0, 2, 1, 12, 1, 0], n_wires, source)
    witness = _witness(n_wires, source)
    wires = from_limbs(witness)
    u, v = ([sum(c * wires[i] for i, c in row.items()) % R for row in rows] for rows in (a_rows, b_rows))
    w = [x * y % R for x, y in zip(u, v, strict=True)]
    root, between = root_of_unity(n), root_of_unity(2 * n)

    def value_at(values: list[int], x: int) -> int:
        # Lagrange's formula on the domain: f(x) = (x^n - 1) / n * sum of f(w^i) w^i / (x - w^i).
        total = sum(f * pow(root, i, R) * pow(x - pow(root, i, R), -1, R) for i, f in enumerate(values))
        return (pow(x, n, R) - 1) * pow(n, -1, R) * total % R

    places = [pow(between, 2 * i + 1, R) for i in range(n)]
    expected = [(value_at(u, x) * value_at(v, x) - value_at(w, x)) % R for x in places]
    assert from_limbs(_compute(DeviceQuotient(DEVICE, a, b, n_wires), [witness])[0]) == expected


def _as_in_a_key(matrix: SparseMatrix, domain: int, public: int) -> SparseMatrix:
    """coefficient * R^2, a row for each public wire after the constraints, and empty rows to fill the domain."""
    values = [*(value * _R2 % R for value in from_limbs(matrix.value)), *[_R2] * public]
    lengths = np.zeros(domain, np.int64)
    lengths[: matrix.rows] = np.diff(matrix.row_ptr)
    lengths[matrix.rows : matrix.rows + public] = 1
    return SparseMatrix(
        row_ptr=np.cumsum([0, *lengths], dtype=np.int64),
        col=np.concatenate([matrix.col, np.arange(public, dtype=np.uint32)]),
        value=to_limbs(values),
    )


def test_the_quotients_of_spends_agree_with_the_cpu():
    circuit = registry.build("spend_2x2")
    a = _as_in_a_key(circuit.r1cs.a, circuit.domain_size, circuit.n_public + 1)
    b = _as_in_a_key(circuit.r1cs.b, circuit.domain_size, 0)
    witnesses = list(cpu.solve(circuit, [honest_spend(), honest_spend(second=dummy())]))
    result = _compute(DeviceQuotient(DEVICE, a, b, circuit.r1cs.n_wires), witnesses)
    for scalars, witness in zip(result, witnesses, strict=True):
        assert np.array_equal(scalars, quotient(a, b, witness))


def test_matrices_without_entries_give_zeros():
    empty = SparseMatrix(np.zeros(5, np.int64), np.zeros(0, np.uint32), np.zeros((0, 4), np.uint64))
    assert not _compute(DeviceQuotient(DEVICE, empty, empty, 1), [to_limbs([1])] * 2).any()


@pytest.mark.parametrize("arithmetic", ARITHMETIC)
def test_rows_that_sum_many_of_the_largest_products_stay_below_the_modulus(arithmetic):
    device = law_device(arithmetic)
    n_wires = LONG_ROW
    rows = [dict.fromkeys(range(length), R - 1) for length in (n_wires // 2, n_wires, 1, 5)]
    matrix = samples.matrix(rows)
    witnesses = [to_limbs([value] * n_wires) for value in (R - 1, 1, R - 2)]
    result = _compute(DeviceQuotient(device, matrix, matrix, n_wires), witnesses, device)
    for scalars, witness in zip(result, witnesses, strict=True):
        assert np.array_equal(scalars, quotient(matrix, matrix, witness))


def _small() -> tuple[DeviceQuotient, SparseMatrix, SparseMatrix]:
    source = random.Random(6)
    a, _ = _matrix([3, 0, 1, 2, 7, 1, 1, 0], 9, source)
    b, _ = _matrix([1, 4, 0, 2, 1, 9, 1, 0], 9, source)
    return DeviceQuotient(DEVICE, a, b, 9), a, b


def test_the_sequence_can_be_captured_and_run_again_on_other_witnesses():
    device_quotient, a, b = _small()
    witness = DEVICE.zeros((9, 2, 8), np.uint32)
    scalars = DEVICE.zeros((device_quotient.domain_size, 2, 8), np.uint32)
    workspace = DEVICE.empty(device_quotient.workspace_shape(2), np.uint32)
    graph = DEVICE.capture(lambda: device_quotient.compute(witness, scalars, workspace))
    source = random.Random(7)
    for _ in range(2):
        witnesses = [_witness(9, source), _witness(9, source)]
        DEVICE.copy(witness, np.ascontiguousarray(np.stack(witnesses, axis=1)).view(np.uint32))
        graph.launch()
        for row, each in enumerate(witnesses):
            found = np.ascontiguousarray(DEVICE.download(scalars)[:, row]).view(np.uint64)
            assert np.array_equal(found, quotient(a, b, each))


def test_kept_memory_is_counted():
    before = DEVICE.memory()[0]
    device_quotient, _, _ = _small()
    assert before - DEVICE.memory()[0] == device_quotient.nbytes


def test_matrices_and_arrays_that_do_not_fit_are_errors():
    device_quotient, a, b = _small()
    with pytest.raises(ValueError, match="beyond the end"):
        DeviceQuotient(DEVICE, a, b, 3)
    three_rows = samples.matrix([{0: 1}] * 3)
    with pytest.raises(ValueError, match=r"2\^k"):
        DeviceQuotient(DEVICE, three_rows, three_rows, 9)
    witness, scalars = DEVICE.zeros((9, 1, 8), np.uint32), DEVICE.zeros((8, 1, 8), np.uint32)
    workspace = DEVICE.zeros(device_quotient.workspace_shape(1), np.uint32)
    with pytest.raises(ValueError, match="wires"):
        device_quotient.compute(witness[1:], scalars, workspace)
    with pytest.raises(ValueError, match="workspace"):
        device_quotient.compute(witness, scalars, workspace[:2])
