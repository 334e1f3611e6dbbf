"""What this package asks of whoever proves for it."""

from collections.abc import Mapping
from typing import Any, Protocol

SPEND_CIRCUIT = "spend_2x2"
INSERT_CIRCUIT = "insert_64"


class Proven(Protocol):
    """A finished proof, verified by its maker.

    `proof` is 256 bytes in EIP-197 order; `cached` says that it was made for an earlier request; `seconds` are the
    phases of making it as far as they happened (witness, prove, total, ...).
    """

    @property
    def proof(self) -> bytes: ...

    @property
    def cached(self) -> bool: ...

    @property
    def seconds(self) -> Mapping[str, float]: ...


class ProofSource(Protocol):
    """Makes proofs, here or elsewhere.

    `public_inputs` are the statement's public inputs in their order, `inputs` all of the circuit's inputs by name, as
    integers or nested lists of integers below the scalar field's order.
    """

    def prove(self, circuit: str, public_inputs: list[int], inputs: Mapping[str, Any]) -> Proven: ...
