"""Arithmetic of the fields F_r and F_q of BN254, to be called inside kernels.

An element is a tuple of four uint64 limbs, least significant first, canonical. `mul` and `inverse` take and
return Montgomery form (R = 2^256); `add`, `sub`, `neg`, `equal` and `is_zero` do not care. Plain -> Montgomery is a
multiplication by `R2`, Montgomery -> plain a multiplication by `PLAIN_ONE`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from protocol.field import Q, R
from prover.kernels.constants import limbs_of
from prover.kernels.cpu import emit, inverse
from prover.kernels.device import intrinsic, kernel

Limbs = tuple[np.uint64, np.uint64, np.uint64, np.uint64]

ELEMENT = types.UniTuple(types.uint64, emit.LIMBS)
FR = emit.PrimeField("fr", R)
FQ = emit.PrimeField("fq", Q)


def limb_tuple(value: int) -> Limbs:
    """An integer 0 <= value < 2^256 as the tuple kernels take."""
    a, b, c, d = (np.uint64(limb) for limb in limbs_of(value))
    return a, b, c, d


def montgomery(value: int, modulus: int) -> Limbs:
    """The Montgomery form of `value` modulo `modulus`, as a tuple of limbs."""
    return limb_tuple((value << 256) % modulus)


def _unary(emitted: Callable[..., Any], result: Any, a: Any) -> Any:
    if a != ELEMENT:
        return None
    return result(ELEMENT), lambda context, builder, signature, arguments: emitted(builder, *arguments)


def _binary(emitted: Callable[..., Any], result: Any, a: Any, b: Any) -> Any:
    if a != ELEMENT or b != ELEMENT:
        return None
    return result(ELEMENT, ELEMENT), lambda context, builder, signature, arguments: emitted(builder, *arguments)


@intrinsic
def fr_mul(typing_context, a, b):
    """a * b / 2^256 in F_r: the product of two elements in Montgomery form."""
    return _binary(FR.mul, ELEMENT, a, b)


@intrinsic
def fr_add(typing_context, a, b):
    return _binary(FR.add, ELEMENT, a, b)


@intrinsic
def fr_sub(typing_context, a, b):
    return _binary(FR.sub, ELEMENT, a, b)


@intrinsic
def fr_neg(typing_context, a):
    return _unary(FR.neg, ELEMENT, a)


@intrinsic
def fq_mul(typing_context, a, b):
    """a * b / 2^256 in F_q: the product of two elements in Montgomery form."""
    return _binary(FQ.mul, ELEMENT, a, b)


@intrinsic
def fq_add(typing_context, a, b):
    return _binary(FQ.add, ELEMENT, a, b)


@intrinsic
def fq_sub(typing_context, a, b):
    return _binary(FQ.sub, ELEMENT, a, b)


@intrinsic
def fq_neg(typing_context, a):
    return _unary(FQ.neg, ELEMENT, a)


@intrinsic
def equal(typing_context, a, b):
    """Are two elements of one field the same?"""
    return _binary(emit.equal, types.boolean, a, b)


@intrinsic
def is_zero(typing_context, a):
    return _unary(emit.is_zero, types.boolean, a)


ZERO = limb_tuple(0)
PLAIN_ONE = limb_tuple(1)
FR_ONE = montgomery(1, R)
FR_R2 = montgomery(1 << 256, R)
FQ_ONE = montgomery(1, Q)
FQ_R2 = montgomery(1 << 256, Q)
# What makes 1 / (a R) the Montgomery form of 1 / a, R / a, in one multiplication.
_FR_R3 = montgomery(1 << 512, R)
_FQ_R3 = montgomery(1 << 512, Q)
_FR_WORDS, _FR_LOWEST_INVERSE = inverse.signed_words(R), np.uint64(inverse.inverse_of_lowest_word(R))
_FQ_WORDS, _FQ_LOWEST_INVERSE = inverse.signed_words(Q), np.uint64(inverse.inverse_of_lowest_word(Q))


@kernel
def fr_inverse(a):
    """1 / a, Montgomery form in and out; the inverse of zero is zero."""
    return fr_mul(inverse.inverse_modulo(a, _FR_WORDS, _FR_LOWEST_INVERSE), _FR_R3)


@kernel
def fq_inverse(a):
    """1 / a, Montgomery form in and out; the inverse of zero is zero."""
    return fq_mul(inverse.inverse_modulo(a, _FQ_WORDS, _FQ_LOWEST_INVERSE), _FQ_R3)


@kernel
def load(array, row):
    """Row `row` of a uint64 array (n, 4) as a tuple."""
    return array[row, 0], array[row, 1], array[row, 2], array[row, 3]


@kernel
def store(array, row, value):
    """Write a tuple to row `row` of a uint64 array (n, 4)."""
    array[row, 0], array[row, 1], array[row, 2], array[row, 3] = value
