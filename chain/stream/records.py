"""The pool's events as an indexer keeps and sends them: tuples of integers and bytes.

`chain.events` has the same events as rich types, through web3, which formats every field of every log first: too slow
for catching up with ten thousand events a second. A test holds the two side by side.
"""

from typing import NamedTuple


class BlockId(NamedTuple):
    """A block: number, hash (32 bytes), time in seconds since 1970."""

    number: int
    hash: bytes
    timestamp: int


class Queued(NamedTuple):
    """`commitment` (32 bytes, big-endian, 0 < c < r) joined the queue at `position` with its memo (224 bytes)."""

    block_number: int
    log_index: int
    transaction_hash: bytes
    position: int
    commitment: bytes
    memo: bytes


class Nullified(NamedTuple):
    """The note with this nullifier (32 bytes, big-endian, below r) is spent."""

    block_number: int
    log_index: int
    transaction_hash: bytes
    nullifier: bytes


class Withdrawn(NamedTuple):
    """`receiver` got `amount` (net of the fee, in the token's smallest unit). Addresses are 20 bytes."""

    block_number: int
    log_index: int
    transaction_hash: bytes
    receiver: bytes
    token: bytes
    amount: int


class Inserted(NamedTuple):
    """The next `size` queued commitments became leaves from `start_index` on; `root` (32 bytes) is the new root."""

    block_number: int
    log_index: int
    transaction_hash: bytes
    root: bytes
    start_index: int
    size: int


Event = Queued | Nullified | Withdrawn | Inserted
