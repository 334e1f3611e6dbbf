"""What ceremonies write into their transcripts, against values computed by snarkjs's own libraries."""

import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_ecc import optimized_bn128 as reference

from protocol.field import Q, R
from prover.groth16 import overrun
from prover.groth16.hash_to_g2 import hash_to_g2, is_greater, multiply_point, sqrt
from prover.groth16.transcript import compressed, digest, partial_digest, uncompressed
from prover.kernels.cpu import blake2b
from prover.kernels.cpu.points import G1_GENERATOR, G2_GENERATOR, pack_g1, pack_g2

# The points that SHA-512("gelap test k"), k = 0, 1, 2, is hashed to, uncompressed and compressed. Computed with
# ffjavascript 0.3.1: G2.fromRng(new ChaCha(the first eight big-endian words)), toUncompressed, toRprCompressed.
HASHED_POINTS = [
    (
        "0f2bcf2650681c8271960be534edca0523305ed8187b97db343d9eedd87561b12d773d77291bc44489e544e4275d8b235d21"
        "467af9557e7343d70124c2e30a3d20aa9c608af9bc6b871af8dbc4ea806b369d20f1044d7f3eeecf23fdc322cf78004dc1d9"
        "531b99765f0b93e8075580064d9460883762601d1399efdbb89880ff",
        "8f2bcf2650681c8271960be534edca0523305ed8187b97db343d9eedd87561b12d773d77291bc44489e544e4275d8b235d21"
        "467af9557e7343d70124c2e30a3d",
    ),
    (
        "2b9ceba6fca31817324f9702d38cc1c96a81bdb0adc930923cf8ee2a007737041063e4c8a869dff2ac389c361abd12a7f727"
        "9877cf05b5eb88e4c218964c949e031f6421aac26451f8752452f3f53f462733552c86a0762c2e7c6eedc7d4ba861f1cb0a9"
        "295fd997668c8798b3f8765493cfaa86434122967950a8d0c823c17a",
        "2b9ceba6fca31817324f9702d38cc1c96a81bdb0adc930923cf8ee2a007737041063e4c8a869dff2ac389c361abd12a7f727"
        "9877cf05b5eb88e4c218964c949e",
    ),
    (
        "1e131ee86c4451caf3eb1654881f5aa1c8c217d232950db4b35452a9b7eda69a29e88f3f4a273c7f7c60a8835734a8bf7d44"
        "727d5948a49518f644e8465281521d7a3a72b8c87b45b76598eb2764a0f46168950a8b27c76c432b6494cf5ddce0085769f8"
        "d35659f8837d875513aa175ad9b710c63afe44c6f891c68f558b6873",
        "9e131ee86c4451caf3eb1654881f5aa1c8c217d232950db4b35452a9b7eda69a29e88f3f4a273c7f7c60a8835734a8bf7d44"
        "727d5948a49518f644e846528152",
    ),
]

# A point, and "the bytes after tau_g1" of a file of power 15 less that point. Computed with ffjavascript 0.3.1 by the
# calls that snarkjs makes: g1m_subAffine, g1m_batchToAffine, g1m_batchLEMtoU.
OVERRUNS = [
    (
        "cb6fd4ab44205f5391e2979a235f78dd15d9d4e039402a0bf73eb44abc3eaf13f582a0183d76304ee0387b02b89fd4278214"
        "6eced51038ce3dc7b996e4a7042d",
        "21c70cbe3480291485d6e299322e56fae13068b392b7a3487db5ad46f046f1981bdbaf3ef574eb50c1984b5d9b7bbb5335d1"
        "20be3a506da1e251a1f3085feb54",
    ),
    (
        "2434bdcf1838465550c0061fd2cfc48906db2632fc33ca415322ae9b260bb10097fe1cffb19142416bbc7f96d5cc426bc041"
        "6505c166899d16728cdc7223830d",
        "220f373660049c4c3870d748e146313c8a01cbb7248590558d408720fcf65bfd266f3bd830f2b67967aaf0890e07702dbd29"
        "3b56a20927f7d8a092aaa5f15f00",
    ),
    (
        "ba3dcf646a578e9f8bb5eaa33d16140ad32328f4e41151eba6ccdcede580061399cfaa8207cce06939a4004ae0d3e364dd01"
        "2530a96dfa81f8e152ae4586271a",
        "039260ae067b8de2909f5208df2808242b0f01d77de15aa6f76a5afc5621c8a21a5d99ebb2f958be845f51535a9af5fadfd7"
        "0b85cf786e059977ddd9c216bea8",
    ),
]


def seed(number: int) -> bytes:
    return hashlib.sha512(f"gelap test {number}".encode()).digest()


@pytest.mark.parametrize("number", range(3))
def test_hashing_to_g2_finds_the_points_of_snarkjs(number):
    expected, short = HASHED_POINTS[number]
    point = pack_g2([hash_to_g2(seed(number))])
    assert uncompressed(point).hex() == expected
    assert compressed(point).hex() == short


@settings(max_examples=5, deadline=None)
@given(st.binary(min_size=64, max_size=64))
def test_hashed_points_lie_in_the_subgroup(hashed):
    x, y = (reference.FQ2(part) for part in hash_to_g2(hashed))
    point = (x, y, reference.FQ2.one())
    assert reference.is_on_curve(point, reference.b2)
    assert reference.is_inf(reference.multiply(point, R))


def test_hashing_to_g2_uses_the_first_half_of_the_digest_only():
    assert hash_to_g2(seed(0)) == hash_to_g2(seed(0)[:32] + bytes(32))
    assert hash_to_g2(seed(0)) != hash_to_g2(seed(1))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, Q - 1), st.integers(0, Q - 1))
def test_a_square_has_its_root_and_its_negative(c0, c1):
    root = reference.FQ2([c0, c1])
    found = sqrt(tuple(int(c) for c in (root * root).coeffs))
    assert found is not None
    assert reference.FQ2(found) in (root, -root)


def test_a_number_and_its_negative_are_not_both_greater():
    for value in [(1, 0), (0, 1), (5, 7), ((Q - 1) // 2, 0), ((Q + 1) // 2, 0)]:
        assert is_greater(value) != is_greater((-value[0] % Q, -value[1] % Q))


@pytest.mark.parametrize("scalar", [1, 2, 3, 12345, R - 1, R + 2])
def test_multiples_on_the_twist_are_those_of_the_reference(scalar):
    x, y = reference.normalize(reference.multiply(reference.G2, scalar % R))
    expected = tuple(map(int, x.coeffs)), tuple(map(int, y.coeffs))
    assert multiply_point(G2_GENERATOR, scalar) == expected


def test_multiplying_by_zero_is_refused():
    with pytest.raises(ValueError, match="zero"):
        multiply_point(G2_GENERATOR, 0)


def test_infinity_is_zeros_or_a_flag():
    infinity = pack_g1([(0, 0)])
    assert uncompressed(infinity) == bytes(64)
    assert compressed(infinity) == bytes([0x40]) + bytes(31)
    assert compressed(pack_g2([((0, 0), (0, 0))])) == bytes([0x40]) + bytes(63)


def test_points_are_encoded_one_after_the_other():
    points = [G1_GENERATOR, (1, Q - 2), (0, 0)]
    together = pack_g1(points)
    assert uncompressed(together) == b"".join(uncompressed(pack_g1([point])) for point in points)
    assert compressed(together) == b"".join(compressed(pack_g1([point])) for point in points)
    assert compressed(together)[32] == 0x80 | compressed(together)[0]


def test_the_digest_is_blake2b():
    assert digest(b"ab", b"", b"c") == hashlib.blake2b(b"abc").digest()


def finished(partial: bytes, tail: bytes) -> bytes:
    """BLAKE2b-512 resumed from a recorded state: the last blocks, by RFC 7693's reference code, section 3."""
    block, chain = partial[:128], list(struct.unpack("<8Q", partial[128:192]))
    processed, waiting = struct.unpack("<2Q", partial[192:208])
    assert partial[208:] == bytes(8)
    message = block[:waiting] + tail
    total = processed + len(message)
    iv = [int(word) for word in blake2b.IV]
    mask = (1 << 64) - 1
    sigma = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
    ]

    def rotated(word: int, distance: int) -> int:
        return (word >> distance | word << (64 - distance)) & mask

    while message:
        piece, message = message[:128], message[128:]
        processed += len(piece)
        words = struct.unpack("<16Q", piece.ljust(128, b"\0"))
        v = chain + iv
        v[12] ^= processed
        v[14] ^= 0 if message else mask
        for turn in range(12):
            s = sigma[turn % 10]
            for mix in range(8):
                a, b = mix % 4, 4 + (mix + mix // 4) % 4
                c, d = 8 + (mix + 2 * (mix // 4)) % 4, 12 + (mix + 3 * (mix // 4)) % 4
                v[a] = (v[a] + v[b] + words[s[2 * mix]]) & mask
                v[d] = rotated(v[d] ^ v[a], 32)
                v[c] = (v[c] + v[d]) & mask
                v[b] = rotated(v[b] ^ v[c], 24)
                v[a] = (v[a] + v[b] + words[s[2 * mix + 1]]) & mask
                v[d] = rotated(v[d] ^ v[a], 16)
                v[c] = (v[c] + v[d]) & mask
                v[b] = rotated(v[b] ^ v[c], 63)
        chain = [chain[i] ^ v[i] ^ v[8 + i] for i in range(8)]
    assert processed == total
    return struct.pack("<8Q", *chain)


@pytest.mark.parametrize("length", [1, 64, 127, 128, 129, 255, 256, 1000, 4096])
def test_a_recorded_hasher_state_can_be_resumed(length):
    message = np.random.default_rng(length).bytes(length)
    tail = b"the public key that follows"
    partial = partial_digest(message)
    assert len(partial) == 216
    assert finished(partial, tail) == hashlib.blake2b(message + tail).digest()


@pytest.mark.parametrize("number", range(3))
def test_the_point_past_the_last_power_is_hashed_as_snarkjs_does(number):
    point, expected = OVERRUNS[number]
    tau_g2 = np.empty((1 << 15, 16), dtype=np.uint64)
    tau_g2[0] = pack_g2([G2_GENERATOR])[0]
    beyond = overrun.bytes_after_tau_g1(tau_g2)
    assert len(beyond) == 64
    assert overrun.subtract(beyond, bytes.fromhex(point)).hex() == expected


def test_between_points_the_overrun_arithmetic_is_the_groups():
    """With two honest points the exact arithmetic must come to their difference."""
    left = reference.multiply(reference.G1, 1234)
    right = reference.multiply(reference.G1, 77)
    x, y = (int(c) for c in reference.normalize(reference.add(left, reference.neg(right))))
    packed = [pack_g1([tuple(int(c) for c in reference.normalize(point))]).tobytes() for point in (left, right)]
    assert overrun.subtract(*packed) == x.to_bytes(32, "big") + y.to_bytes(32, "big")
