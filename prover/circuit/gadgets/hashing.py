"""What gadgets know of a hash: a parameter, so that the same statements can be built over another one."""

from collections.abc import Sequence
from typing import Protocol

from prover.circuit.builder import Builder
from prover.circuit.linear import LinearCombination, Operand


class Hash(Protocol):
    """`H_n(inputs)`, n = len(inputs), inside a circuit."""

    def __call__(self, builder: Builder, inputs: Sequence[Operand], output: Operand | None = None) -> LinearCombination:
        """Return the hash of the inputs. Given `output`, demand that this is the hash, which saves a wire."""
        ...
