"""The compiled Poseidon is the protocol's Poseidon."""

import random

import numpy as np
import pytest

from protocol import poseidon as protocol
from protocol.errors import EncodingError
from protocol.field import R
from prover.kernels.cpu import poseidon
from prover.limbs import from_limbs, to_limbs

_SOURCE = random.Random(5)


def test_pairs_hash_as_the_protocol_says():
    edges = [0, 1, R - 1, 2**253]
    pairs = [(a, b) for a in edges for b in edges] + [(_SOURCE.randrange(R), _SOURCE.randrange(R)) for _ in range(4)]
    assert poseidon.hash_pairs(pairs) == [protocol.poseidon(pair) for pair in pairs]


@pytest.mark.parametrize("n_inputs", [1, 3, 5, 16])
def test_rows_of_any_width_hash_as_the_protocol_says(n_inputs):
    rows = [[_SOURCE.randrange(R) for _ in range(n_inputs)] for _ in range(3)]
    limbs = np.stack([to_limbs(row).reshape(-1) for row in rows])
    assert from_limbs(poseidon.hash_rows(limbs)) == [protocol.poseidon(row) for row in rows]


def test_a_known_answer_of_circomlib():
    # iden3/go-iden3-crypto, poseidon/poseidon_test.go, commit 0491732.
    expected = 0x115CC0F5E7D690413DF64C6B9662E9CF2A3617F2743245519E19607A4417189A
    assert poseidon.hash_pairs([(1, 2)]) == [expected]


def test_the_number_of_threads_changes_nothing():
    rows = to_limbs([_SOURCE.randrange(R) for _ in range(600)]).reshape(-1, 8)
    assert np.array_equal(poseidon.hash_rows(rows, threads=1), poseidon.hash_rows(rows, threads=3))


def test_no_pairs_have_no_hashes():
    assert poseidon.hash_pairs([]) == []


@pytest.mark.parametrize("pair", [(R, 0), (0, -1), (2**256, 1)])
def test_values_outside_the_field_are_refused(pair):
    with pytest.raises(EncodingError, match="below the field's modulus"):
        poseidon.hash_pairs([(1, 2), pair])


def test_rows_that_are_not_field_elements_are_refused():
    with pytest.raises(ValueError, match="whole field elements"):
        poseidon.hash_rows(np.zeros((2, 7), dtype=np.uint64))
    with pytest.raises(EncodingError, match="1 to 16 inputs"):
        poseidon.hash_rows(np.zeros((2, 0), dtype=np.uint64))
