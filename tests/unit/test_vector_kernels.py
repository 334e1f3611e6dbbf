"""Arrays of field elements against Python integers."""

import random

import numpy as np
import pytest

from protocol.field import Q, R
from prover.kernels.cpu import vector
from prover.limbs import from_limbs, to_limbs

MONT = 1 << 256


def _sample(modulus: int, count: int = 37) -> list[int]:
    source = random.Random(count)
    return [0, 1, modulus - 1, 0, *(source.randrange(modulus) for _ in range(count - 4))]


@pytest.mark.parametrize(
    ("modulus", "to_mont", "from_mont"),
    [(R, vector.fr_to_mont, vector.fr_from_mont), (Q, vector.fq_to_mont, vector.fq_from_mont)],
    ids=["fr", "fq"],
)
def test_montgomery_form_is_the_value_times_2_to_the_256_and_back(modulus, to_mont, from_mont):
    values = _sample(modulus)
    in_mont = to_mont(to_limbs(values))
    assert from_limbs(in_mont) == [value * MONT % modulus for value in values]
    assert from_limbs(from_mont(in_mont)) == values


def test_vectors_multiply_and_subtract_element_by_element():
    a, b, c = _sample(R), _sample(R)[::-1], list(range(37))
    a_mont, b_mont, c_mont = (vector.fr_to_mont(to_limbs(values)) for values in (a, b, c))
    product = vector.fr_from_mont(vector.fr_mul_vector(a_mont, b_mont))
    assert from_limbs(product) == [x * y % R for x, y in zip(a, b, strict=True)]
    difference = vector.fr_from_mont(vector.fr_mul_sub_vector(a_mont, b_mont, c_mont))
    assert from_limbs(difference) == [(x * y - z) % R for x, y, z in zip(a, b, c, strict=True)]


def test_batch_inversion_inverts_everything_but_zero():
    values = _sample(R)
    inverses = vector.fr_from_mont(vector.fr_inverse_vector(vector.fr_to_mont(to_limbs(values))))
    assert from_limbs(inverses) == [pow(value, -1, R) if value else 0 for value in values]


def test_powers_are_a_geometric_sequence():
    powers = vector.fr_from_mont(vector.fr_powers(R - 5, 9, first=3))
    assert from_limbs(powers) == [3 * pow(R - 5, i, R) % R for i in range(9)]


def test_results_do_not_depend_on_the_number_of_threads():
    values = to_limbs(_sample(R, 5000))
    assert np.array_equal(vector.fr_to_mont(values, threads=1), vector.fr_to_mont(values, threads=3))


def _matrix() -> tuple[np.ndarray, np.ndarray, list[int]]:
    row_ptr = np.array([0, 2, 2, 5, 6], dtype=np.int64)
    col = np.array([0, 3, 1, 2, 3, 0], dtype=np.uint32)
    return row_ptr, col, [1, R - 1, 7, 1 << 200, R // 3, 0]


def test_sparse_multiply_is_a_matrix_times_a_vector():
    row_ptr, col, value = _matrix()
    witness = [1, R - 1, 12345, 1 << 253]
    expected = [
        sum(value[k] * witness[col[k]] for k in range(row_ptr[i], row_ptr[i + 1])) % R for i in range(len(row_ptr) - 1)
    ]
    value_mont = vector.fr_to_mont(to_limbs(value))
    both_mont = vector.sparse_multiply(row_ptr, col, value_mont, vector.fr_to_mont(to_limbs(witness)))
    assert from_limbs(vector.fr_from_mont(both_mont)) == expected
    double_mont = vector.sparse_multiply(row_ptr, col, vector.fr_to_mont(value_mont), to_limbs(witness))
    assert np.array_equal(double_mont, both_mont)


def test_sparse_multiply_refuses_a_matrix_that_does_not_fit():
    row_ptr, col, value = _matrix()
    limbs = to_limbs(value)
    with pytest.raises(ValueError, match="beyond the end"):
        vector.sparse_multiply(row_ptr, col, limbs, to_limbs([1, 2, 3]))
    with pytest.raises(ValueError, match="one sparse matrix"):
        vector.sparse_multiply(row_ptr[:-1], col, limbs, to_limbs([1, 2, 3, 4]))


def test_read_only_and_misaligned_arrays_are_accepted():
    values = _sample(R)
    frozen = to_limbs(values)
    frozen.flags.writeable = False
    padded = np.frombuffer(b"\0" * 4 + to_limbs(values).tobytes(), dtype="V4")[1:]
    misaligned = np.frombuffer(padded.base, dtype=np.uint64, offset=4, count=4 * len(values)).reshape(-1, 4)
    assert not misaligned.flags.aligned
    assert np.array_equal(vector.fr_to_mont(frozen), vector.fr_to_mont(misaligned))


def test_wrong_shapes_and_types_are_refused():
    with pytest.raises(ValueError, match="shape"):
        vector.fr_to_mont(np.zeros((3, 5), dtype=np.uint64))
    with pytest.raises(TypeError, match="uint64"):
        vector.fr_to_mont(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="lengths"):
        vector.fr_mul_vector(to_limbs([1]), to_limbs([1, 2]))
