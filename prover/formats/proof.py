"""A Groth16 proof and its public inputs: snarkjs's `proof.json`, `public.json`, and the 256 bytes a contract takes."""

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.field import R
from prover.errors import FormatError
from prover.formats import strict_json
from prover.formats.files import AnyPath
from prover.formats.points import G1Point, G2Point, g1_from_evm, g1_to_evm, g2_from_evm, g2_to_evm

PROOF_BYTES = 256
_MAX_PROOF_TEXT = 1 << 16
_MAX_PUBLIC_TEXT = 1 << 26


@dataclass(frozen=True)
class Proof:
    """Affine points in plain coordinates below q, infinity all zero; not known to lie on their curves.

    a, c: (x, y) in G1; b: ((x.c0, x.c1), (y.c0, y.c1)) in G2.
    """

    a: G1Point
    b: G2Point
    c: G1Point

    def to_json(self) -> str:
        """The text of snarkjs's proof.json."""
        return strict_json.dump(
            {
                "pi_a": strict_json.g1_to_json(self.a),
                "pi_b": strict_json.g2_to_json(self.b),
                "pi_c": strict_json.g1_to_json(self.c),
                "protocol": strict_json.PROTOCOL,
                "curve": strict_json.CURVE,
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> "Proof":
        """Parse the text of a proof.json; raises FormatError."""
        document = strict_json.require_object(strict_json.parse(text), "a proof")
        strict_json.require_groth16(document, "a proof")
        return cls(
            a=strict_json.g1_from_json(document.get("pi_a"), "pi_a"),
            b=strict_json.g2_from_json(document.get("pi_b"), "pi_b"),
            c=strict_json.g1_from_json(document.get("pi_c"), "pi_c"),
        )

    def to_bytes(self) -> bytes:
        """256 bytes: A, B, C as 32-byte big-endian words in the order of the EVM's precompiles (EIP-197)."""
        return g1_to_evm(self.a) + g2_to_evm(self.b) + g1_to_evm(self.c)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Proof":
        """Parse what to_bytes makes; raises FormatError for another length or coordinates not below q."""
        if len(data) != PROOF_BYTES:
            raise FormatError(f"a proof is {PROOF_BYTES} bytes, got {len(data)}")
        return cls(a=g1_from_evm(data[:64]), b=g2_from_evm(data[64:192]), c=g1_from_evm(data[192:]))


def read_proof(path: AnyPath) -> Proof:
    """Read a proof.json; FormatErrors name the file."""
    text = strict_json.read_text(path, _MAX_PROOF_TEXT)
    try:
        return Proof.from_json(text)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error


def write_proof(path: AnyPath, proof: Proof) -> None:
    strict_json.write_text(path, proof.to_json())


def public_from_json(text: str | bytes) -> list[int]:
    """Parse a public.json: a list of decimal strings below r. Raises FormatError."""
    document = strict_json.parse(text)
    if not isinstance(document, list):
        raise FormatError("public inputs must be a JSON list")
    return [strict_json.number(value, R, f"public input {index}") for index, value in enumerate(document)]


def public_to_json(values: Sequence[int]) -> str:
    """The text of snarkjs's public.json."""
    return strict_json.dump([str(value) for value in values])


def read_public(path: AnyPath) -> list[int]:
    """Read a public.json; FormatErrors name the file."""
    text = strict_json.read_text(path, _MAX_PUBLIC_TEXT)
    try:
        return public_from_json(text)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error


def write_public(path: AnyPath, values: Sequence[int]) -> None:
    strict_json.write_text(path, public_to_json(values))
