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


def _compute(device_quotient: DeviceQuotient, witnesses: list[np.ndarray]) -> np.ndarray:
    """uint64 (batch, n, 4)."""
    batch = len(witnesses)
    on_device = DEVICE.upload(np.ascontiguousarray(np.stack(witnesses, axis=1)).view(np.uint32))
    scalars = DEVICE.empty((device_quotient.domain_size, batch, 8), np.uint32)
    workspace = DEVICE.empty(device_quotient.workspace_shape(batch), np.uint32)
    device_quotient.compute(on_device, scalars, workspace)
    return np.ascontiguousarray(DEVICE.download(scalars).view(np.uint64).transpose(1, 0, 2))


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


def test_the_quotient_of_a_real_key_agrees_with_the_cpu():
    key = samples.proving_key()
    witnesses = [samples.witness(a=number, x=number + 9) for number in range(5)]
    result = _compute(DeviceQuotient(DEVICE, key.a, key.b, key.n_vars), witnesses)
    for scalars, witness in zip(result, witnesses, strict=True):
        assert np.array_equal(scalars, quotient(key.a, key.b, witness))


def test_matrices_without_entries_give_zeros():
    empty = SparseMatrix(np.zeros(5, np.int64), np.zeros(0, np.uint32), np.zeros((0, 4), np.uint64))
    assert not _compute(DeviceQuotient(DEVICE, empty, empty, 1), [to_limbs([1])] * 2).any()


def test_a_row_that_sums_many_largest_products_stays_below_the_modulus():
    n_wires = 200
    row = dict.fromkeys(range(n_wires), R - 1)
    matrix = samples.matrix([row, {0: R - 1}])
    witness = to_limbs([R - 1] * n_wires)
    result = _compute(DeviceQuotient(DEVICE, matrix, matrix, n_wires), [witness])[0]
    assert np.array_equal(result, quotient(matrix, matrix, witness))


def test_the_sequence_can_be_captured_and_run_again_on_other_witnesses():
    key = samples.proving_key()
    device_quotient = DeviceQuotient(DEVICE, key.a, key.b, key.n_vars)
    witness = DEVICE.zeros((key.n_vars, 2, 8), np.uint32)
    scalars = DEVICE.zeros((device_quotient.domain_size, 2, 8), np.uint32)
    workspace = DEVICE.empty(device_quotient.workspace_shape(2), np.uint32)
    graph = DEVICE.capture(lambda: device_quotient.compute(witness, scalars, workspace))
    for seed in (1, 2):
        witnesses = [samples.witness(a=seed, x=9), samples.witness(a=seed + 7, x=3)]
        DEVICE.copy(witness, np.ascontiguousarray(np.stack(witnesses, axis=1)).view(np.uint32))
        graph.launch()
        for row, each in enumerate(witnesses):
            found = np.ascontiguousarray(DEVICE.download(scalars)[:, row]).view(np.uint64)
            assert np.array_equal(found, quotient(key.a, key.b, each))


def test_kept_memory_is_counted():
    key = samples.proving_key()
    before = DEVICE.memory()[0]
    device_quotient = DeviceQuotient(DEVICE, key.a, key.b, key.n_vars)
    assert before - DEVICE.memory()[0] == device_quotient.nbytes


def test_matrices_and_arrays_that_do_not_fit_are_errors():
    key = samples.proving_key()
    with pytest.raises(ValueError, match="beyond the end"):
        DeviceQuotient(DEVICE, key.a, key.b, 3)
    three_rows = samples.matrix([{0: 1}] * 3)
    with pytest.raises(ValueError, match=r"2\^k"):
        DeviceQuotient(DEVICE, three_rows, three_rows, 9)
    device_quotient = DeviceQuotient(DEVICE, key.a, key.b, key.n_vars)
    n = device_quotient.domain_size
    witness, scalars = DEVICE.zeros((key.n_vars, 1, 8), np.uint32), DEVICE.zeros((n, 1, 8), np.uint32)
    workspace = DEVICE.zeros(device_quotient.workspace_shape(1), np.uint32)
    with pytest.raises(ValueError, match="wires"):
        device_quotient.compute(witness[1:], scalars, workspace)
    with pytest.raises(ValueError, match="workspace"):
        device_quotient.compute(witness, scalars, workspace[:2])
