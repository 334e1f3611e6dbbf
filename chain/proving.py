"""What this package asks of whoever proves for it."""

from collections.abc import Mapping
from typing import Any, Protocol

SPEND_CIRCUIT = "spend_2x2"
INSERT_CIRCUIT = "insert_64"


class Proven(Protocol):
    """A finished proof: 256 bytes in EIP-197 order, verified by its maker."""

    @property
    def proof(self) -> bytes: ...


class ProofSource(Protocol):
    """Makes proofs, here or elsewhere.

    `public_inputs` are the statement's public inputs in their order, `inputs` all of the circuit's inputs by name, as
    integers or nested lists of integers below the scalar field's order.
    """

    def prove(self, circuit: str, public_inputs: list[int], inputs: Mapping[str, Any]) -> Proven: ...
