"""The end of a proof on the device's code: C = sum_c + s A + r B1, and all points affine."""

import secrets

import numpy as np
import pytest

from bench.inputs import known_points
from protocol.field import Q, R
from prover.groth16.finish_cuda import Finish, halves, unpack_proofs
from prover.kernels.cpu.points import unpack_g1, unpack_g2
from prover.kernels.cuda.shim_device import ShimDevice
from prover.limbs import from_limbs, to_limbs
from prover.msm.cpu import msm_g1
from prover.msm.endomorphism import LAMBDA

_R_INVERSE = pow(2**256, -1, Q)


@pytest.fixture(scope="module")
def device() -> ShimDevice:
    return ShimDevice()


def multiplied(a: list[int], b: list[int]) -> list[int]:
    """Products of elements of Fq in Montgomery form, as Fq2 where there are two of each."""
    if len(a) == 1:
        return [a[0] * b[0] * _R_INVERSE % Q]
    return [(a[0] * b[0] - a[1] * b[1]) * _R_INVERSE % Q, (a[0] * b[1] + a[1] * b[0]) * _R_INVERSE % Q]


def in_xyzz(points: np.ndarray) -> np.ndarray:
    """Affine points, (n, 8) or (n, 16) -> the same with random denominators, (n, 16) or (n, 32)."""
    rows = []
    degree = points.shape[1] // 8
    for point in points:
        values = from_limbs(point.reshape(-1, 4))
        x, y = values[:degree], values[degree:]
        z = [secrets.randbelow(Q) for _ in range(degree)]
        zz = multiplied(z, z)
        zzz = multiplied(zz, z)
        if not point.any():
            zz = zzz = [0] * degree
        rows.append(to_limbs([*multiplied(x, zz), *multiplied(y, zzz), *zz, *zzz]).reshape(-1))
    return np.stack(rows)


def finish(device, sums: list[np.ndarray], blindings: list[tuple[int, int]]):
    step = Finish(device, len(blindings))
    step.launch(len(blindings), *(device.upload(in_xyzz(each)) for each in sums), device.upload(halves(blindings)))
    return unpack_proofs(device.download(step.proofs))


def check(device, sums: list[np.ndarray], blindings: list[tuple[int, int]]) -> None:
    a, b1, b2, c = sums
    for i, (proof, (r, s)) in enumerate(zip(finish(device, sums, blindings), blindings, strict=True)):
        expected = msm_g1(np.stack([a[i], b1[i], c[i]]), to_limbs([s, r, 1]))
        assert proof.a == unpack_g1(a[i])[0]
        assert proof.b == unpack_g2(b2[i])[0]
        assert proof.c == unpack_g1(expected)[0]


def sums(count: int) -> list[np.ndarray]:
    return [known_points(count, 16 if name == "b2" else 8).points for name in ("a", "b1", "b2", "c")]


def test_a_batch_of_random_sums(device):
    check(device, sums(5), [(secrets.randbelow(R), secrets.randbelow(R)) for _ in range(5)])


@pytest.mark.parametrize("count", [1, 16, 17, 65])
def test_batches_of_any_size_are_whole(device, count):
    proofs = finish(device, [np.repeat(each, count, axis=0) for each in sums(1)], [(3, 5)] * count)
    assert len(set(proofs)) == 1


def test_edges_of_the_blinding(device):
    values = [0, 1, R - 1, LAMBDA, R - LAMBDA, 2**127, 2**128 - 1]
    check(device, sums(len(values)), [(value, R - 1 - value) for value in values])


def test_sums_at_infinity_and_equal_and_opposite_ones(device):
    a, b1, b2, c = sums(5)
    a[0], b1[0], b2[0], c[0] = 0, 0, 0, 0
    c[1] = a[1]
    b1[2] = a[2]
    c[3] = 0
    check(device, [a, b1, b2, c], [(7, 9), (0, 1), (4, R - 4), (2, 3), (0, 0)])


def test_halves_are_short_and_make_up_the_scalar():
    blindings = [(secrets.randbelow(R), secrets.randbelow(R)) for _ in range(50)]
    for (r, s), row in zip(blindings, halves(blindings), strict=True):
        signs = [-1 if part[7] else 1 for part in row]
        sizes = [sum(int(limb) << (32 * i) for i, limb in enumerate(part[:5])) for part in row]
        s1, s2, r1, r2 = (sign * size for sign, size in zip(signs, sizes, strict=True))
        assert max(sizes) < 2**128
        assert not row[:, 5:7].any()
        assert ((s1 + s2 * LAMBDA) % R, (r1 + r2 * LAMBDA) % R) == (s, r)
