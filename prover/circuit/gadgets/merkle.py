"""Paths in a binary Merkle tree."""

from collections.abc import Sequence

from prover.circuit.builder import Builder
from prover.circuit.gadgets.bits import Bit, swap_if
from prover.circuit.gadgets.hashing import Hash
from prover.circuit.linear import LinearCombination, Operand, as_combination


def root_from_path(
    builder: Builder,
    hash_function: Hash,
    node: Operand,
    bits: Sequence[Bit],
    siblings: Sequence[Operand],
    root: Operand | None = None,
) -> LinearCombination:
    """The root that a node leads to. Given `root`, demand that it is this one.

    `bits` and `siblings` go upwards from the node; a bit is 1 where the current node is the right child. The depth is
    fixed by their number. The caller guarantees that the bits are bits.
    """
    current = as_combination(node)
    last = len(bits) - 1
    for level, (bit, sibling) in enumerate(zip(bits, siblings, strict=True)):
        pair = swap_if(builder, bit, current, as_combination(sibling))
        current = hash_function(builder, pair, root if level == last else None)
    return current


def subtree_root(builder: Builder, hash_function: Hash, leaves: Sequence[Operand]) -> LinearCombination:
    """The root of a full subtree; the number of leaves must be a power of two."""
    level = [as_combination(leaf) for leaf in leaves]
    if len(level) & (len(level) - 1) or not level:
        raise ValueError("a full subtree has a power of two of leaves")
    while len(level) > 1:
        level = [hash_function(builder, level[i : i + 2]) for i in range(0, len(level), 2)]
    return level[0]
