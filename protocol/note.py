"""Notes: who owns how much of which token, and the three hashes that stand for a note on chain.

pre-commitment `p = H2(owner, blinding)`, commitment `c = H3(p, token, amount)`,
nullifier `n = H3(c, nullifying key, leafIndex)`.

The contract computes c from p and what it received, so nothing can claim more than was paid in. The leaf index is part
of the nullifier, so two notes with equal commitments can both be spent.
"""

import secrets
from dataclasses import dataclass, field
from functools import cached_property

from protocol.errors import EncodingError
from protocol.field import R
from protocol.poseidon import poseidon

TOKEN_BITS = 160
AMOUNT_BITS = 128
LEAF_INDEX_BITS = 32
# Every note travels with an encrypted memo of exactly this length.
MEMO_BYTES = 224


@dataclass(frozen=True)
class Note:
    """A note, all plain integers: `token` the ERC-20's address (160 bits), `amount` in its smallest unit (128 bits),
    `owner` and `blinding` field elements in [0, r).

    The blinding is kept out of `repr`: with it, anyone can test a guess of the other fields against the commitment.
    Raises EncodingError when a field is out of range.
    """

    token: int
    amount: int
    owner: int
    blinding: int = field(repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.token < 1 << TOKEN_BITS:
            raise EncodingError("a note's token must be an address of 20 bytes")
        if not 0 <= self.amount < 1 << AMOUNT_BITS:
            raise EncodingError("a note's amount must be at least 0 and below 2^128")
        if not 0 <= self.owner < R or not 0 <= self.blinding < R:
            raise EncodingError("a note's owner and blinding must be at least 0 and below the field's modulus")

    @cached_property
    def pre_commitment(self) -> int:
        """`H2(owner, blinding)`: what a depositor hands to the contract."""
        return pre_commitment(self.owner, self.blinding)

    @cached_property
    def commitment(self) -> int:
        """`H3(pre-commitment, token, amount)`: the leaf."""
        return poseidon([self.pre_commitment, self.token, self.amount])

    def nullifier(self, nullifying_key: int, leaf_index: int) -> int:
        """`H3(commitment, nullifying key, leafIndex)`: published when the note at that leaf is spent.

        Raises EncodingError for a leaf index outside [0, 2^32) or a key outside [0, r).
        """
        if not 0 <= leaf_index < 1 << LEAF_INDEX_BITS:
            raise EncodingError("a leaf index must be at least 0 and below 2^32")
        return poseidon([self.commitment, nullifying_key, leaf_index])


def pre_commitment(owner: int, blinding: int) -> int:
    """Return `H2(owner, blinding)`; raises EncodingError for values outside [0, r)."""
    return poseidon([owner, blinding])


def random_blinding() -> int:
    """Return 64 random bytes modulo r. Never reuse one: equal notes would show equal commitments."""
    return int.from_bytes(secrets.token_bytes(64), "big") % R
