"""`.ptau`: powers of tau, the part of a Groth16 setup that all circuits share.

    1 header: q, power p, power of the whole ceremony
    2 tau^i G1, i < 2^(p+1) - 1       3 tau^i G2, i < 2^p       4 alpha tau^i G1       5 beta tau^i G1       6 beta G2
    7 contributions
    12..15 the same four families in the Lagrange basis of every power of two, if the file is prepared for phase 2

Section 12 holds the bases of sizes 2^0 to 2^(p+1), one after another; sections 13 to 15 those of 2^0 to 2^p.
Source: snarkjs, powersoftau_utils.js, powersoftau_new.js and powersoftau_preparephase2.js.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from protocol.field import Q
from prover.errors import FormatError, SetupError
from prover.formats.binfile import (
    Cursor,
    FileFormat,
    SectionFile,
    array_section,
    bytes_section,
    open_sections,
    prime_bytes,
    require_shape,
    write_sections,
)
from prover.formats.contribution import Contributor, decode_contributor
from prover.formats.files import AnyPath
from prover.formats.points import G1_WORDS, G2_WORDS

PTAU = FileFormat(b"ptau", 1, "powers of tau (.ptau)", "make it again with `gelap ptau new`, or fetch it again")

Family = Literal["tau_g1", "tau_g2", "alpha_tau_g1", "beta_tau_g1"]

_MAX_POWER = 28
_HASH_BYTES = 64
_HASHER_STATE_BYTES = 216


@dataclass(frozen=True, eq=False)
class PtauPublicKey:
    """Proofs of knowledge of one contribution's tau, alpha and beta (Bowe, Gabizon, Miers 2017).

    s and sx: G1 uint64[8]; spx: G2 uint64[16], Montgomery limbs.
    """

    tau_g1_s: np.ndarray
    tau_g1_sx: np.ndarray
    alpha_g1_s: np.ndarray
    alpha_g1_sx: np.ndarray
    beta_g1_s: np.ndarray
    beta_g1_sx: np.ndarray
    tau_g2_spx: np.ndarray
    alpha_g2_spx: np.ndarray
    beta_g2_spx: np.ndarray


@dataclass(frozen=True, eq=False)
class PtauContribution:
    """One step of phase 1: the first powers after it, its public key, and the hashes that chain the steps.

    partial_hash: state of the response's BLAKE2b hasher before the public key (216 bytes, snarkjs's layout);
    next_challenge: 64 bytes.
    """

    tau_g1: np.ndarray
    tau_g2: np.ndarray
    alpha_g1: np.ndarray
    beta_g1: np.ndarray
    beta_g2: np.ndarray
    key: PtauPublicKey
    partial_hash: bytes
    next_challenge: bytes
    contributor: Contributor = field(default_factory=Contributor)


@dataclass(frozen=True, eq=False)
class LagrangeBases:
    """Powers of tau in Lagrange bases, all sizes in one array: the basis of size 2^k starts at row 2^k - 1.

    tau_g1: uint64 (2^(p+2) - 1, 8); tau_g2: (2^(p+1) - 1, 16); alpha_tau_g1, beta_tau_g1: (2^(p+1) - 1, 8).
    """

    tau_g1: np.ndarray
    tau_g2: np.ndarray
    alpha_tau_g1: np.ndarray
    beta_tau_g1: np.ndarray


@dataclass(frozen=True, eq=False)
class PowersOfTau:
    """Points are affine Montgomery limbs; arrays read from a file are read-only views, perhaps not aligned to 8 bytes.

    tau_g1: uint64 (2^(power+1) - 1, 8); tau_g2: (2^power, 16); alpha_tau_g1, beta_tau_g1: (2^power, 8); beta_g2: (16,).
    lagrange_bases is None in a file that is not prepared for phase 2.
    """

    power: int
    ceremony_power: int
    tau_g1: np.ndarray
    tau_g2: np.ndarray
    alpha_tau_g1: np.ndarray
    beta_tau_g1: np.ndarray
    beta_g2: np.ndarray
    contributions: list[PtauContribution]
    lagrange_bases: LagrangeBases | None = None

    def lagrange(self, family: Family, power: int) -> np.ndarray:
        """The Lagrange basis of size 2^power: L_i(tau) times the family's factor, as uint64 (2^power, 8 or 16).

        "tau_g1" goes one power further than the file's own. Raises SetupError when the file does not reach that far.
        """
        if self.lagrange_bases is None:
            raise SetupError(
                "these powers of tau are not prepared for phase 2; run `snarkjs powersoftau prepare phase2` on them"
            )
        largest = self.power + 1 if family == "tau_g1" else self.power
        if not 0 <= power <= largest:
            raise SetupError(
                f"these powers of tau reach 2^{self.power}, too few for a domain of 2^{power}; take a larger file"
            )
        size = 1 << power
        basis: np.ndarray = getattr(self.lagrange_bases, family)
        return basis[size - 1 : 2 * size - 1]


def _shapes(power: int) -> dict[int, tuple[str, int, int]]:
    """Section number -> field name, rows, words."""
    size = 1 << power
    return {
        2: ("tau_g1", 2 * size - 1, G1_WORDS),
        3: ("tau_g2", size, G2_WORDS),
        4: ("alpha_tau_g1", size, G1_WORDS),
        5: ("beta_tau_g1", size, G1_WORDS),
    }


def _lagrange_shapes(power: int) -> dict[int, tuple[str, int, int]]:
    size = 1 << power
    return {
        12: ("tau_g1", 4 * size - 1, G1_WORDS),
        13: ("tau_g2", 2 * size - 1, G2_WORDS),
        14: ("alpha_tau_g1", 2 * size - 1, G1_WORDS),
        15: ("beta_tau_g1", 2 * size - 1, G1_WORDS),
    }


def read_ptau(path: AnyPath) -> PowersOfTau:
    """Read powers of tau over BN254; the point arrays are views of the file.

    Every count, size and coordinate is checked; whether points lie on the curve, or are powers of anything, is not.
    Raises FormatError.
    """
    with open_sections(path, PTAU) as file:
        header = file.cursor(1)
        header.prime(Q)
        power, ceremony_power = header.u32(), header.u32()
        header.finish()
        if not 1 <= power <= ceremony_power <= _MAX_POWER:
            raise header.error(f"a power of {power} in a ceremony of {ceremony_power} is not within 1 to {_MAX_POWER}")
        families = _read_families(file, _shapes(power))
        return PowersOfTau(
            power=power,
            ceremony_power=ceremony_power,
            **families,
            beta_g2=_read_beta_g2(file),
            contributions=_read_contributions(file.cursor(7)),
            lagrange_bases=_read_lagrange(file, power),
        )


def _read_families(file: SectionFile, shapes: dict[int, tuple[str, int, int]]) -> dict[str, np.ndarray]:
    return {name: file.elements(number, rows, words, Q) for number, (name, rows, words) in shapes.items()}


def _read_beta_g2(file: SectionFile) -> np.ndarray:
    cursor = file.cursor(6)
    point = cursor.limbs(G2_WORDS, Q)
    cursor.finish()
    return point


def _read_lagrange(file: SectionFile, power: int) -> LagrangeBases | None:
    shapes = _lagrange_shapes(power)
    present = [number for number in shapes if number in file]
    if not present:
        return None
    return LagrangeBases(**_read_families(file, shapes))


def _read_contributions(cursor: Cursor) -> list[PtauContribution]:
    contributions = []
    for _ in range(cursor.u32()):
        contributions.append(
            PtauContribution(
                tau_g1=cursor.limbs(G1_WORDS, Q),
                tau_g2=cursor.limbs(G2_WORDS, Q),
                alpha_g1=cursor.limbs(G1_WORDS, Q),
                beta_g1=cursor.limbs(G1_WORDS, Q),
                beta_g2=cursor.limbs(G2_WORDS, Q),
                key=PtauPublicKey(**{name: cursor.limbs(words, Q) for name, words in _PUBLIC_KEY_FIELDS.items()}),
                partial_hash=cursor.take(_HASHER_STATE_BYTES),
                next_challenge=cursor.take(_HASH_BYTES),
                contributor=decode_contributor(cursor),
            )
        )
    cursor.finish()
    return contributions


_PUBLIC_KEY_FIELDS = {
    "tau_g1_s": G1_WORDS,
    "tau_g1_sx": G1_WORDS,
    "alpha_g1_s": G1_WORDS,
    "alpha_g1_sx": G1_WORDS,
    "beta_g1_s": G1_WORDS,
    "beta_g1_sx": G1_WORDS,
    "tau_g2_spx": G2_WORDS,
    "alpha_g2_spx": G2_WORDS,
    "beta_g2_spx": G2_WORDS,
}


def write_ptau(path: AnyPath, ptau: PowersOfTau) -> None:
    """Write powers of tau, atomically, byte for byte as snarkjs would.

    Raises FormatError when an array does not have the shape that the power asks for, or the file cannot be written.
    """
    if not 1 <= ptau.power <= ptau.ceremony_power <= _MAX_POWER:
        raise FormatError(f"powers of tau must have a power from 1 to {_MAX_POWER}, not {ptau.power}")
    header = prime_bytes(Q) + ptau.power.to_bytes(4, "little") + ptau.ceremony_power.to_bytes(4, "little")
    sections = [bytes_section(1, header)]
    for number, (name, rows, words) in _shapes(ptau.power).items():
        require_shape(name, getattr(ptau, name), (rows, words))
        sections.append(array_section(number, getattr(ptau, name)))
    sections.append(bytes_section(6, _point_bytes("beta_g2", ptau.beta_g2, G2_WORDS)))
    sections.append(bytes_section(7, _contribution_bytes(ptau.contributions)))
    if ptau.lagrange_bases is not None:
        for number, (name, rows, words) in _lagrange_shapes(ptau.power).items():
            array = getattr(ptau.lagrange_bases, name)
            require_shape(f"lagrange_bases.{name}", array, (rows, words))
            sections.append(array_section(number, array))
    write_sections(path, PTAU, sections)


def _contribution_bytes(contributions: list[PtauContribution]) -> bytes:
    parts = [len(contributions).to_bytes(4, "little")]
    for step in contributions:
        parts += [
            _point_bytes("tau_g1", step.tau_g1, G1_WORDS),
            _point_bytes("tau_g2", step.tau_g2, G2_WORDS),
            _point_bytes("alpha_g1", step.alpha_g1, G1_WORDS),
            _point_bytes("beta_g1", step.beta_g1, G1_WORDS),
            _point_bytes("beta_g2", step.beta_g2, G2_WORDS),
        ]
        parts += [_point_bytes(name, getattr(step.key, name), words) for name, words in _PUBLIC_KEY_FIELDS.items()]
        if len(step.partial_hash) != _HASHER_STATE_BYTES or len(step.next_challenge) != _HASH_BYTES:
            raise FormatError("a contribution's partial_hash must be 216 bytes and its next_challenge 64")
        parts += [step.partial_hash, step.next_challenge, step.contributor.encode()]
    return b"".join(parts)


def _point_bytes(name: str, point: np.ndarray, words: int) -> bytes:
    require_shape(name, point, (words,))
    return point.tobytes()
