"""Modular inverses by division steps, against Python's."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.field import Q, R
from prover.kernels.cpu.field import limb_tuple
from prover.kernels.cpu.inverse import inverse_modulo, inverse_of_lowest_word, signed_words
from prover.kernels.device import kernel

# The fields' moduli, and primes whose size and lowest bits are different.
MODULI = [Q, R, 2**252 + 27742317777372353535851937790883648493, 2**127 - 1, 65537, 3]
each_modulus = pytest.mark.parametrize("modulus", MODULI)


@kernel
def _inverse(element, modulus, lowest_inverse):
    return inverse_modulo(element, modulus, lowest_inverse)


def _check(value: int, modulus: int) -> None:
    words = _inverse(limb_tuple(value), signed_words(modulus), np.uint64(inverse_of_lowest_word(modulus)))
    assert sum(int(word) << (64 * i) for i, word in enumerate(words)) == (pow(value, -1, modulus) if value else 0)


@each_modulus
def test_the_smallest_and_the_largest_elements(modulus):
    for value in [*range(40), *range(modulus - 40, modulus), modulus // 2, modulus // 2 + 1]:
        _check(value % modulus, modulus)


@each_modulus
def test_every_power_of_two_and_its_neighbours(modulus):
    for bit in range(modulus.bit_length()):
        for value in ((1 << bit) - 1, 1 << bit, (1 << bit) + 1, -1 << bit):
            _check(value % modulus, modulus)


@each_modulus
def test_random_elements_and_those_with_few_set_bits(modulus):
    source = random.Random(1)
    for _ in range(1000):
        _check(source.randrange(modulus), modulus)
        _check(sum(1 << source.randrange(254) for _ in range(3)) % modulus, modulus)


@settings(max_examples=300, deadline=None)
@given(value=st.integers(0, Q - 1))
def test_the_inverse_of_the_inverse_is_the_element(value):
    _check(value, Q)
