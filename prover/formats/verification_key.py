"""A Groth16 verification key: snarkjs's `verification_key.json`, and the bytes that are hashed and deployed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from protocol.field import Q
from prover.errors import FormatError
from prover.formats import strict_json
from prover.formats.files import AnyPath
from prover.formats.points import G1Point, G2Point, g1_from_mont, g1_to_evm, g2_from_mont, g2_to_evm
from prover.formats.zkey import ZKey

_MAX_TEXT = 1 << 26


@dataclass(frozen=True)
class VerificationKey:
    """Affine points in plain coordinates below q, infinity all zero; not known to lie on their curves.

    ic: n_public + 1 points. alpha_beta: e(alpha1, beta2) as 12 plain numbers, or None when not computed. It is there
    only because snarkjs writes it: a key is the same with and without it, and nothing may be concluded from its value.
    """

    alpha1: G1Point
    beta2: G2Point
    gamma2: G2Point
    delta2: G2Point
    ic: tuple[G1Point, ...]
    alpha_beta: tuple[int, ...] | None = field(default=None, compare=False, repr=False)

    protocol = strict_json.PROTOCOL
    curve = strict_json.CURVE

    @property
    def n_public(self) -> int:
        return len(self.ic) - 1

    @classmethod
    def from_zkey(cls, zkey: ZKey, alpha_beta: Sequence[int] | None = None) -> "VerificationKey":
        """The verification key inside a proving key.

        alpha_beta: the pairing of alpha1 and beta2 for the JSON form, 12 plain numbers in the order of the tower
        F_q12 = F_q6[w], F_q6 = F_q2[v], F_q2 = F_q[u].
        """
        return cls(
            alpha1=g1_from_mont(zkey.alpha_g1),
            beta2=g2_from_mont(zkey.beta_g2),
            gamma2=g2_from_mont(zkey.gamma_g2),
            delta2=g2_from_mont(zkey.delta_g2),
            ic=tuple(g1_from_mont(point) for point in zkey.ic),
            alpha_beta=None if alpha_beta is None else tuple(alpha_beta),
        )

    def to_json(self) -> str:
        """The text of snarkjs's verification_key.json, without vk_alphabeta_12 when alpha_beta is unknown."""
        document: dict[str, object] = {
            "protocol": self.protocol,
            "curve": self.curve,
            "nPublic": self.n_public,
            "vk_alpha_1": strict_json.g1_to_json(self.alpha1),
            "vk_beta_2": strict_json.g2_to_json(self.beta2),
            "vk_gamma_2": strict_json.g2_to_json(self.gamma2),
            "vk_delta_2": strict_json.g2_to_json(self.delta2),
        }
        if self.alpha_beta is not None:
            document["vk_alphabeta_12"] = _tower_to_json(self.alpha_beta)
        document["IC"] = [strict_json.g1_to_json(point) for point in self.ic]
        return strict_json.dump(document)

    @classmethod
    def from_json(cls, text: str | bytes) -> "VerificationKey":
        """Parse the text of a verification_key.json; raises FormatError."""
        document = strict_json.require_object(strict_json.parse(text), "a verification key")
        strict_json.require_groth16(document, "a verification key")
        n_public = document.get("nPublic")
        if not isinstance(n_public, int) or isinstance(n_public, bool) or n_public < 0:
            raise FormatError("nPublic must be the number of public inputs")
        alpha_beta = document.get("vk_alphabeta_12")
        return cls(
            alpha1=strict_json.g1_from_json(document.get("vk_alpha_1"), "vk_alpha_1"),
            beta2=strict_json.g2_from_json(document.get("vk_beta_2"), "vk_beta_2"),
            gamma2=strict_json.g2_from_json(document.get("vk_gamma_2"), "vk_gamma_2"),
            delta2=strict_json.g2_from_json(document.get("vk_delta_2"), "vk_delta_2"),
            ic=tuple(
                strict_json.g1_from_json(p, "IC") for p in strict_json.items(document.get("IC"), n_public + 1, "IC")
            ),
            alpha_beta=None if alpha_beta is None else _tower_from_json(alpha_beta),
        )

    def to_bytes(self) -> bytes:
        """alpha1, beta2, gamma2, delta2, IC[0..n_public] as 32-byte big-endian words in the EVM's order (EIP-197)."""
        parts = [g1_to_evm(self.alpha1), g2_to_evm(self.beta2), g2_to_evm(self.gamma2), g2_to_evm(self.delta2)]
        return b"".join(parts + [g1_to_evm(point) for point in self.ic])

    def digest(self) -> bytes:
        """SHA-256 of to_bytes(): what names this key in statements and manifests. 32 bytes."""
        return hashlib.sha256(self.to_bytes()).digest()


def _tower_to_json(numbers: tuple[int, ...]) -> list[list[list[str]]]:
    if len(numbers) != 12:
        raise FormatError(f"alpha_beta must be 12 numbers, not {len(numbers)}")
    texts = [str(value) for value in numbers]
    return [[texts[i : i + 2] for i in range(half, half + 6, 2)] for half in (0, 6)]


def _tower_from_json(value: object) -> tuple[int, ...]:
    what = "vk_alphabeta_12"
    return tuple(
        strict_json.number(coordinate, Q, what)
        for half in strict_json.items(value, 2, what)
        for pair in strict_json.items(half, 3, what)
        for coordinate in strict_json.items(pair, 2, what)
    )


def read_verification_key(path: AnyPath) -> VerificationKey:
    """Read a verification_key.json; FormatErrors name the file."""
    text = strict_json.read_text(path, _MAX_TEXT)
    try:
        return VerificationKey.from_json(text)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error


def write_verification_key(path: AnyPath, key: VerificationKey) -> None:
    strict_json.write_text(path, key.to_json())
