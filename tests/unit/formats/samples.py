"""Small random files of every format, and the iden3 container taken apart without the help of the code under test."""

import struct

import numpy as np

from protocol.field import Q, R
from prover.formats.contribution import Contributor
from prover.formats.proof import Proof
from prover.formats.ptau import LagrangeBases, PowersOfTau, PtauContribution, PtauPublicKey
from prover.formats.verification_key import VerificationKey
from prover.formats.zkey import Contribution, MpcParameters, ZKey
from prover.r1cs import R1CS, SparseMatrix

BEACON = Contributor(type=1, name="the public beacon", iterations_exponent=10, beacon_hash=bytes(range(32)))
PERSON = Contributor(name="Zoë")
NOBODY = Contributor()


def numbers(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random uint64 limbs whose every group of four is below both moduli."""
    limbs = rng.integers(0, 1 << 64, size=shape, dtype=np.uint64)
    limbs[..., 3::4] >>= np.uint64(3)
    return limbs


def sparse(rng: np.random.Generator, rows: int, columns: int) -> SparseMatrix:
    counts = rng.integers(0, min(columns, 4), size=rows)
    row_ptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    col = np.concatenate([np.sort(rng.choice(columns, size=n, replace=False)) for n in counts] or [[]])
    return SparseMatrix(row_ptr, col.astype(np.uint32), numbers(rng, len(col), 4))


def r1cs(seed: int, n_wires: int = 7, n_constraints: int = 5) -> R1CS:
    rng = np.random.default_rng(seed)
    a, b, c = (sparse(rng, n_constraints, n_wires) for _ in range(3))
    labels = np.concatenate([[0], 1 + np.arange(n_wires - 1) * 3]).astype(np.uint64)
    return R1CS(n_wires, min(1, n_wires - 1), min(2, max(0, n_wires - 2)), 2, a, b, c, labels, 3 * n_wires)


def witness(seed: int, n_wires: int = 7) -> np.ndarray:
    values = numbers(np.random.default_rng(seed), n_wires, 4)
    values[0] = [1, 0, 0, 0]
    return values


def zkey(seed: int, n_vars: int = 6, n_public: int = 2, domain_size: int = 8, contributors=(PERSON, BEACON)) -> ZKey:
    rng = np.random.default_rng(seed)
    contributions = [
        Contribution(numbers(rng, 8), numbers(rng, 8), numbers(rng, 8), numbers(rng, 16), rng.bytes(64), contributor)
        for contributor in contributors
    ]
    return ZKey(
        n_vars=n_vars,
        n_public=n_public,
        domain_size=domain_size,
        alpha_g1=numbers(rng, 8),
        beta_g1=numbers(rng, 8),
        beta_g2=numbers(rng, 16),
        gamma_g2=numbers(rng, 16),
        delta_g1=numbers(rng, 8),
        delta_g2=numbers(rng, 16),
        ic=numbers(rng, n_public + 1, 8),
        a=sparse(rng, domain_size, n_vars),
        b=sparse(rng, domain_size, n_vars),
        points_a=numbers(rng, n_vars, 8),
        points_b1=numbers(rng, n_vars, 8),
        points_b2=numbers(rng, n_vars, 16),
        points_c=numbers(rng, n_vars - n_public - 1, 8),
        points_h=numbers(rng, domain_size, 8),
        mpc=MpcParameters(rng.bytes(64), contributions),
    )


def ptau(seed: int, power: int = 2, prepared: bool = True, contributors=(NOBODY, PERSON, BEACON)) -> PowersOfTau:
    rng = np.random.default_rng(seed)
    size = 1 << power
    contributions = [
        PtauContribution(
            tau_g1=numbers(rng, 8),
            tau_g2=numbers(rng, 16),
            alpha_g1=numbers(rng, 8),
            beta_g1=numbers(rng, 8),
            beta_g2=numbers(rng, 16),
            key=PtauPublicKey(*(numbers(rng, 8) for _ in range(6)), *(numbers(rng, 16) for _ in range(3))),
            partial_hash=rng.bytes(216),
            next_challenge=rng.bytes(64),
            contributor=contributor,
        )
        for contributor in contributors
    ]
    bases = LagrangeBases(
        numbers(rng, 4 * size - 1, 8),
        numbers(rng, 2 * size - 1, 16),
        numbers(rng, 2 * size - 1, 8),
        numbers(rng, 2 * size - 1, 8),
    )
    return PowersOfTau(
        power=power,
        ceremony_power=power,
        tau_g1=numbers(rng, 2 * size - 1, 8),
        tau_g2=numbers(rng, size, 16),
        alpha_tau_g1=numbers(rng, size, 8),
        beta_tau_g1=numbers(rng, size, 8),
        beta_g2=numbers(rng, 16),
        contributions=contributions,
        lagrange_bases=bases if prepared else None,
    )


def coordinates(seed: int, count: int) -> list[int]:
    rng = np.random.default_rng(seed)
    return [int.from_bytes(rng.bytes(32), "big") % Q for _ in range(count)]


def proof(seed: int) -> Proof:
    v = coordinates(seed, 8)
    return Proof((v[0], v[1]), ((v[2], v[3]), (v[4], v[5])), (v[6], v[7]))


def verification_key(seed: int, n_public: int = 2) -> VerificationKey:
    v = coordinates(seed, 26 + 2 * (n_public + 1))
    beta, gamma, delta = (((v[i], v[i + 1]), (v[i + 2], v[i + 3])) for i in (2, 6, 10))
    ic = tuple((v[i], v[i + 1]) for i in range(26, len(v), 2))
    return VerificationKey((v[0], v[1]), beta, gamma, delta, ic, alpha_beta=tuple(v[14:26]))


def split(content: bytes) -> list[tuple[int, bytes]]:
    """The sections of a container, in order."""
    sections, position = [], 12
    while position < len(content):
        number, size = struct.unpack_from("<IQ", content, position)
        sections.append((number, content[position + 12 : position + 12 + size]))
        position += 12 + size
    return sections


def join(head: bytes, sections: list[tuple[int, bytes]]) -> bytes:
    """A container with the magic and version of `head`."""
    parts = [head[:8], struct.pack("<I", len(sections))]
    parts += [struct.pack("<IQ", number, len(content)) + content for number, content in sections]
    return b"".join(parts)


def edit(content: bytes, number: int, offset: int, replacement: bytes) -> bytes:
    """The container with some bytes of one section overwritten."""
    sections = split(content)
    for index, (own, section) in enumerate(sections):
        if own == number:
            start = offset % len(section)
            assert start + len(replacement) <= len(section)
            sections[index] = (own, section[:start] + replacement + section[start + len(replacement) :])
            return join(content, sections)
    raise AssertionError(f"no section {number}")


def u32(value: int) -> bytes:
    return struct.pack("<I", value)


R_BYTES = R.to_bytes(32, "little")
Q_BYTES = Q.to_bytes(32, "little")
