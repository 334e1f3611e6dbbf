"""The checks behind the times: right inputs, and no wrong output gets through."""

import numpy as np
import pytest
from py_ecc import bn128

from bench import child, field, inputs, msm, ntt, proving, verify
from bench.errors import WrongResultError
from protocol.field import R
from prover.formats.proof import Proof
from prover.groth16.verify import Verifier
from prover.kernels import paths
from prover.kernels.cpu.points import unpack_g1, unpack_g2
from prover.kernels.cpu.vector import fr_from_mont
from prover.limbs import from_limbs
from prover.ntt.cpu import extend_to_odd_coset
from prover.ntt.cpu import ntt as transform
from prover.progress import silent


def changed(values: np.ndarray, row: int | slice = slice(None)) -> np.ndarray:
    copy = values.copy()
    copy[row, 0] ^= np.uint64(1)
    return copy


def test_field_elements_are_canonical_and_fresh():
    values = from_limbs(inputs.field_elements(500))
    assert all(0 <= value < R for value in values)
    assert len(set(values)) == 500
    assert max(values) > R // 2


def test_witness_like_scalars_are_mostly_bits_and_short_numbers():
    values = from_limbs(inputs.scalars(10_000, inputs.WITNESS_LIKE))
    bits = sum(value < 2 for value in values)
    short = sum(2 <= value < 1 << 64 for value in values)
    assert (bits, short) == (6000, 2000)
    assert 2500 < sum(value == 1 for value in values) < 3500
    assert {value < 2 for value in values[:100]} == {True, False}


def test_known_points_are_the_multiples_they_claim_to_be():
    g1, g2 = inputs.known_points(3, 8), inputs.known_points(2, 16)
    for (x, y), logarithm in zip(unpack_g1(g1.points), g1.logarithms, strict=True):
        assert bn128.multiply(bn128.G1, logarithm) == (bn128.FQ(x), bn128.FQ(y))
    for (x, y), logarithm in zip(unpack_g2(g2.points), g2.logarithms, strict=True):
        assert bn128.multiply(bn128.G2, logarithm) == (bn128.FQ2(x), bn128.FQ2(y))


def test_a_wrong_sum_of_points_is_noticed():
    bases = inputs.known_points(5, 8)
    with pytest.raises(WrongResultError):
        msm._runs(lambda points, multiples: points[0], bases.points, bases, inputs.UNIFORM, 1)


def test_a_wrong_transform_is_noticed():
    values = inputs.field_elements(16)
    forward, extended = transform(values), extend_to_odd_coset(values)
    assert ntt._is_forward(values, forward)
    assert not ntt._is_forward(values, changed(forward, 3))
    assert not ntt._is_forward(values, values)
    assert ntt._is_extension(values, extended)
    assert not ntt._is_extension(values, changed(extended))


def test_wrong_field_arithmetic_is_noticed(monkeypatch):
    wrong = field._OPERATIONS["invert"]._replace(compute=fr_from_mont)
    monkeypatch.setitem(field._OPERATIONS, "invert", wrong)
    with pytest.raises(WrongResultError):
        field.measure([64], 1, silent)


def test_a_verifier_that_accepts_everything_is_noticed(monkeypatch):
    statements = [([1], Proof(a=(n, 1), b=((1, 1), (1, 1)), c=(n, 2))) for n in range(2)]

    class Credulous(Verifier):
        def __init__(self) -> None:
            """No key."""

        def verify(self, public_inputs, proof) -> bool:
            return True

    with pytest.raises(WrongResultError):
        verify._refuses_forgeries(Credulous(), statements)


def test_phases_add_up_to_the_whole():
    clock = proving._PhaseClock()
    for phase in "abc":
        clock.phase_done(phase)
    assert list(clock.seconds) == ["a", "b", "c"]
    assert 0 <= sum(clock.seconds.values()) <= clock.total


def test_paths_are_passed_on_in_the_variable_that_the_prover_reads(monkeypatch):
    monkeypatch.delenv(paths.VARIABLE, raising=False)
    assert child.environment("scalar")[paths.VARIABLE] == "scalar"
    assert paths.VARIABLE not in child.environment("auto")
    for path in child.PATHS:
        paths.choose(path, dict.fromkeys(paths._NEEDED, True))
