"""The upper part of the commitment tree, for many batches at once.

A batch is an aligned subtree of 64 leaves, so the tree above level 6 is a binary tree over the roots of the batches'
subtrees. All levels are hashed in bulk: after batch i, the node at level k on the path from its subtree to the root is

    H2(left, own)   where the index at level k is odd; `left` is complete, and belongs to an earlier batch
    H2(own, Z_k)    where it is even; nothing is to the right of the newest batch

so one call per level gives every batch's root, not only the last one's. Nodes are uint64 arrays of shape (..., 4),
plain (not Montgomery), least significant limb first.
"""

from collections.abc import Sequence

import numpy as np

from protocol.merkle import BATCH, BATCH_LEVELS, DEPTH, ZEROS
from prover.kernels.cpu.poseidon import hash_rows
from prover.limbs import to_limbs

UPPER_LEVELS = DEPTH - BATCH_LEVELS
CAPACITY_BATCHES = 1 << UPPER_LEVELS

_ZEROS = to_limbs(ZEROS)
_BYTES = 32


def nodes_of(words: Sequence[bytes]) -> np.ndarray:
    """32-byte big-endian words, all below r -> (n, 4)."""
    raw = np.frombuffer(b"".join(words), dtype=np.uint8).reshape(-1, _BYTES)
    return np.ascontiguousarray(raw[:, ::-1]).view("<u8").reshape(-1, 4)


def words_of(nodes: np.ndarray) -> list[bytes]:
    """(n, 4) -> 32-byte big-endian words."""
    raw = np.ascontiguousarray(nodes, dtype="<u8").view(np.uint8).reshape(-1, _BYTES)[:, ::-1].tobytes()
    return [raw[start : start + _BYTES] for start in range(0, len(raw), _BYTES)]


def subtree_roots(leaves: Sequence[bytes], counts: Sequence[int]) -> np.ndarray:
    """Roots (n, 4) of n batches; `leaves` are those of all batches one after another, `counts` how many each has."""
    sizes = np.asarray(counts, dtype=np.int64)
    nodes = np.zeros((len(sizes), BATCH, 4), dtype=np.uint64)
    nodes[np.arange(BATCH) < sizes[:, None]] = nodes_of(leaves)
    for level in range(BATCH_LEVELS):
        # Most batches of a quiet pool are short: only pairs with a leaf under them are hashed.
        sizes = (sizes + 1) // 2
        width = BATCH >> (level + 1)
        filled = np.arange(width) < sizes[:, None]
        above = np.broadcast_to(_ZEROS[level + 1], (len(sizes), width, 4)).copy()
        above[filled] = hash_rows(nodes.reshape(-1, width, 8)[filled])
        nodes = above
    return nodes[:, 0]


def lower_path(leaves: Sequence[bytes], place: int) -> list[bytes]:
    """The 6 siblings inside a batch's subtree of its leaf number `place`; `leaves` are the batch's 1 to 64."""
    nodes = np.zeros((BATCH, 4), dtype=np.uint64)
    nodes[: len(leaves)] = nodes_of(leaves)
    siblings = []
    for level in range(BATCH_LEVELS):
        siblings.append(nodes[(place >> level) ^ 1])
        nodes = hash_rows(nodes.reshape(-1, 8))
    return words_of(np.stack(siblings))


class UpperTree:
    """All nodes above the subtrees of `len(tree)` batches: about 64 bytes a batch."""

    def __init__(self) -> None:
        self._count = 0
        self._levels = [np.empty((1, 4), dtype=np.uint64) for _ in range(UPPER_LEVELS + 1)]

    def __len__(self) -> int:
        return self._count

    @property
    def root(self) -> bytes:
        """The root, 32 bytes."""
        return words_of(self._levels[UPPER_LEVELS][:1] if self._count else _ZEROS[DEPTH][None])[0]

    def append(self, subtrees: np.ndarray) -> np.ndarray:
        """Add the subtree roots (n, 4) of the next n batches; returns the tree's root after each (n, 4)."""
        first, count = self._count, len(subtrees)
        nodes = subtrees
        index = np.arange(first, first + count)
        for level in range(UPPER_LEVELS):
            self._put(level, index, nodes)
            odd = (index & 1).astype(bool)
            pairs = np.empty((count, 8), dtype=np.uint64)
            pairs[:, :4] = nodes
            pairs[:, 4:] = _ZEROS[BATCH_LEVELS + level]
            pairs[odd, :4] = self._levels[level][index[odd] - 1]
            pairs[odd, 4:] = nodes[odd]
            nodes = hash_rows(pairs)
            index = index >> 1
        self._put(UPPER_LEVELS, index, nodes)
        self._count = first + count
        return nodes

    def extend(self, subtrees: np.ndarray) -> None:
        """Add as `append` does, without the roots in between: one hash a node."""
        if not len(subtrees):
            return
        first, count = self._count, self._count + len(subtrees)
        nodes = subtrees
        for level in range(UPPER_LEVELS + 1):
            begin, end = first >> level, ((count - 1) >> level) + 1
            self._put(level, np.arange(begin, end), nodes)
            if level == UPPER_LEVELS:
                break
            begin -= begin & 1
            known = self._levels[level][begin:end]
            if len(known) & 1:
                known = np.concatenate([known, _ZEROS[BATCH_LEVELS + level][None]])
            nodes = hash_rows(np.ascontiguousarray(known).reshape(-1, 8))
        self._count = count

    def truncate(self, count: int) -> None:
        """Keep the first `count` batches only."""
        if not 0 <= count <= self._count:
            raise ValueError(f"the tree has {self._count} batches, not {count}")
        if count == self._count:
            return
        last = self._levels[0][count - 1 : count].copy() if count else None
        # Complete nodes stay as they are; those on the path of the new last batch are hashed again.
        self._count = max(count - 1, 0)
        if last is not None:
            self.extend(last)

    def path(self, batch: int) -> list[bytes]:
        """The 26 siblings from a batch's subtree to the root, lowest first."""
        siblings = []
        for level in range(UPPER_LEVELS):
            beside = (batch >> level) ^ 1
            used = -(-self._count >> level) if self._count else 0
            siblings.append(self._levels[level][beside] if beside < used else _ZEROS[BATCH_LEVELS + level])
        return words_of(np.stack(siblings))

    def _put(self, level: int, index: np.ndarray, nodes: np.ndarray) -> None:
        """Store nodes by index; of several with one index, which stand side by side, the last."""
        room = self._levels[level]
        if index[-1] >= len(room):
            larger = np.empty((max(2 * len(room), int(index[-1]) + 1), 4), dtype=np.uint64)
            larger[: len(room)] = room
            self._levels[level] = room = larger
        last = np.append(np.flatnonzero(index[1:] != index[:-1]), len(index) - 1)
        room[index[last]] = nodes[last]
