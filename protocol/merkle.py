"""The commitment tree: binary, depth 32, filled from the left in aligned batches of 64 leaves.

A node is `H2(left, right)`, an empty leaf is 0, and an empty subtree of height i has the root `ZEROS[i]`. Bit k of a
leaf index (least significant at the leaves) is 1 when the node at level k is a right child. A short batch leaves the
rest of its 64 leaves empty for good.

Trees hash through a callable `hash_pairs(list of (left, right)) -> list of nodes`, so that whoever handles many leaves
can pass a fast implementation. All nodes are plain integers in [0, r).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from protocol import poseidon
from protocol.errors import TreeError
from protocol.field import R

DEPTH = 32
BATCH = 64
BATCH_LEVELS = 6
CAPACITY = 1 << DEPTH

HashPairs = Callable[[list[tuple[int, int]]], list[int]]


def _empty_roots() -> tuple[int, ...]:
    roots = [0]
    for _ in range(DEPTH):
        roots.append(poseidon.poseidon([roots[-1], roots[-1]]))
    return tuple(roots)


ZEROS = _empty_roots()


@dataclass(frozen=True)
class BatchInsertion:
    """One step of the tree, as the statement `insert` proves it.

    `leaves` are 64, empty ones 0; `siblings` are the 26 nodes beside the path from the batch's subtree to the root,
    lowest first.
    """

    start_index: int
    old_root: int
    new_root: int
    leaves: tuple[int, ...]
    siblings: tuple[int, ...]


class MerkleTree:
    """The tree in memory: every level holds the nodes from the left up to the last batch, nothing beyond.

    `next_index` is where the next batch starts, always a multiple of 64. About two integers are kept per leaf.
    """

    def __init__(self, hash_pairs: HashPairs | None = None) -> None:
        self._hash_pairs: HashPairs = hash_pairs or poseidon.hash_pairs
        self._levels: list[list[int]] = [[] for _ in range(DEPTH + 1)]

    @classmethod
    def from_batches(cls, batches: Iterable[Sequence[int]], hash_pairs: HashPairs | None = None) -> "MerkleTree":
        """Rebuild a tree from the history of its batches, oldest first, each the leaves the contract put in (1 to 64).

        Hashes level by level, so a fast `hash_pairs` sees long lists. The caller compares `root` with the contract's.
        Raises TreeError as `insert_batch` does.
        """
        tree = cls(hash_pairs)
        leaves: list[int] = []
        for batch in batches:
            leaves.extend(_padded(batch))
        if len(leaves) > CAPACITY:
            raise TreeError("the tree is full")
        if leaves:
            tree._store(tree._nodes_above(leaves))
        return tree

    @property
    def root(self) -> int:
        return self._node(DEPTH, 0)

    @property
    def next_index(self) -> int:
        return len(self._levels[0])

    def leaf(self, leaf_index: int) -> int:
        """Return the leaf at this index, 0 if it is empty; raises TreeError outside [0, 2^32)."""
        _check_index(leaf_index)
        return self._node(0, leaf_index)

    def path(self, leaf_index: int) -> list[int]:
        """Return the 32 siblings from the leaf to the root, leaf level first; raises TreeError outside [0, 2^32)."""
        _check_index(leaf_index)
        return [self._node(level, leaf_index >> level ^ 1) for level in range(DEPTH)]

    def plan_batch(self, leaves: Sequence[int]) -> BatchInsertion:
        """Compute what inserting these leaves would do, and change nothing: for a proof that may come too late.

        Raises TreeError as `insert_batch` does.
        """
        return self._plan(leaves)[0]

    def insert_batch(self, leaves: Sequence[int]) -> BatchInsertion:
        """Append one batch of 1 to 64 commitments at `next_index`.

        Raises TreeError for an empty or too long batch, a leaf that is 0 or not below r, and a full tree.
        """
        insertion, nodes = self._plan(leaves)
        self._store(nodes)
        return insertion

    def _plan(self, leaves: Sequence[int]) -> tuple[BatchInsertion, list[list[int]]]:
        padded = _padded(leaves)
        start = self.next_index
        if start >= CAPACITY:
            raise TreeError("the tree is full")
        nodes = self._nodes_above(padded)
        insertion = BatchInsertion(
            start_index=start,
            old_root=self.root,
            new_root=nodes[DEPTH][0],
            leaves=tuple(padded),
            siblings=tuple(self.path(start)[BATCH_LEVELS:]),
        )
        return insertion, nodes

    def _nodes_above(self, leaves: list[int]) -> list[list[int]]:
        """Return, for each level, the nodes that change when `leaves` (whole batches) are appended."""
        levels = [leaves]
        for level in range(DEPTH):
            changed = levels[level]
            first = self.next_index >> level
            if first & 1:
                changed = [self._node(level, first - 1), *changed]
            if len(changed) & 1:
                changed = [*changed, ZEROS[level]]
            levels.append(self._hash_pairs(list(zip(changed[::2], changed[1::2], strict=True))))
        return levels

    def _store(self, changed: list[list[int]]) -> None:
        start = self.next_index
        for level, nodes in enumerate(changed):
            self._levels[level][start >> level :] = nodes

    def _node(self, level: int, index: int) -> int:
        nodes = self._levels[level]
        return nodes[index] if index < len(nodes) else ZEROS[level]


def root_from_path(leaf: int, leaf_index: int, path: Sequence[int]) -> int:
    """Return the root that a leaf, its index and its 32 siblings (leaf level first) lead to.

    Raises TreeError for an index outside [0, 2^32) or a path of another length.
    """
    _check_index(leaf_index)
    if len(path) != DEPTH:
        raise TreeError(f"a path has {DEPTH} siblings, got {len(path)}")
    node = leaf
    for level, sibling in enumerate(path):
        is_right = leaf_index >> level & 1
        node = poseidon.poseidon([sibling, node] if is_right else [node, sibling])
    return node


def _padded(leaves: Sequence[int]) -> list[int]:
    if not 1 <= len(leaves) <= BATCH:
        raise TreeError(f"a batch has 1 to {BATCH} leaves, got {len(leaves)}")
    if not all(0 < leaf < R for leaf in leaves):
        raise TreeError(
            "a leaf must be a commitment: above 0, which marks an empty leaf, and below the field's modulus"
        )
    return [*leaves, *[0] * (BATCH - len(leaves))]


def _check_index(leaf_index: int) -> None:
    if not 0 <= leaf_index < CAPACITY:
        raise TreeError("a leaf index must be at least 0 and below 2^32")
