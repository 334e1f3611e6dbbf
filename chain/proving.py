"""What this package asks of whoever proves for it."""

from collections.abc import Mapping
from typing import Any, Protocol

from chain.errors import ChainError
from protocol.statements import SPEND_ARITIES

INSERT_CIRCUIT = "insert_64"


def spend_circuit(inputs: int, outputs: int) -> str:
    """The name of the circuit for a spend of so many notes to so many. Raises ChainError where there is none."""
    if (inputs, outputs) not in SPEND_ARITIES:
        known = ", ".join(f"{m} to {n}" for m, n in SPEND_ARITIES)
        raise ChainError(f"there is no circuit for a spend of {inputs} notes to {outputs}; there are: {known}")
    return f"spend_{inputs}x{outputs}"


SPEND_CIRCUIT = spend_circuit(2, 2)
SPEND_CIRCUITS = {spend_circuit(*arity): arity for arity in SPEND_ARITIES}
"""The circuits of spends by name, with their numbers of inputs and outputs; the most common first."""


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
