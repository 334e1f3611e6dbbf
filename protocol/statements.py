"""What the circuits prove, as numbers: public inputs, private inputs and the hashes that bind them together.

The signal names and their order are those of the circuits `spend` and `insert`; every signal is a plain integer in
[0, r). `inputs()` of a public part is the list a verifier gets; `inputs()` of a whole statement is the mapping a prover
gets.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from protocol.babyjubjub import Point
from protocol.eddsa import Signature
from protocol.errors import EncodingError
from protocol.field import R, to_bytes32
from protocol.input_encoding import InputValue, decode_inputs, encode_inputs
from protocol.merkle import BATCH, DEPTH, BatchInsertion
from protocol.note import MEMO_BYTES, Note
from protocol.poseidon import poseidon

__all__ = [
    "SPEND_ARITIES",
    "InputValue",
    "InsertPublic",
    "InsertStatement",
    "SpendPublic",
    "SpendWitness",
    "SpentNote",
    "bound_hash",
    "decode_inputs",
    "encode_inputs",
    "insert_challenge",
    "insert_evaluation",
    "statement_hash",
]

SPEND_ARITIES = ((2, 2), (2, 3), (8, 2))
"""The numbers of inputs and outputs for which there is a circuit `spend`: a payment, a payment that also pays a relayer
with a note, and a consolidation. The most common first."""

_STATEMENT_DOMAIN = b"gelap/v1/statement"
_WORD = 1 << 256
_ADDRESS = 1 << 160


@dataclass(frozen=True)
class SpentNote:
    """A note that a spend consumes: the note, its own nullifying key, its place in the tree and the 32 siblings of its
    path, leaf level first. The nullifying key and the path are kept out of `repr`.
    """

    note: Note
    nullifying_key: int = field(repr=False)
    leaf_index: int
    path: Sequence[int] = field(repr=False)

    @classmethod
    def dummy(cls, note: Note, nullifying_key: int) -> "SpentNote":
        """Fill an unused input with a note of amount 0: the circuit checks all of it except membership.

        Give it a fresh blinding, or its nullifier repeats and the contract refuses the spend. Raises EncodingError for
        another amount.
        """
        if note.amount != 0:
            raise EncodingError("a dummy input has the amount 0")
        return cls(note, nullifying_key, 0, (0,) * DEPTH)

    @property
    def nullifier(self) -> int:
        return self.note.nullifier(self.nullifying_key, self.leaf_index)


@dataclass(frozen=True)
class SpendPublic:
    """The public inputs of the statement `spend`, in the contract's order."""

    root: int
    nullifiers: tuple[int, ...]
    commitments: tuple[int, ...]
    public_token: int
    public_amount: int
    bound_hash: int

    @classmethod
    def from_notes(
        cls, root: int, spent: Sequence[SpentNote], outputs: Sequence[Note], public_amount: int, bound_hash: int
    ) -> "SpendPublic":
        """Derive the public inputs from the notes; the token shows only when a public amount leaves the pool.

        Raises EncodingError when the notes do not all carry one token, or there are none.
        """
        tokens = {item.note.token for item in spent} | {note.token for note in outputs}
        if len(tokens) != 1:
            raise EncodingError("all notes of a spend must carry the same token")
        return cls(
            root=root,
            nullifiers=tuple(item.nullifier for item in spent),
            commitments=tuple(note.commitment for note in outputs),
            public_token=tokens.pop() if public_amount else 0,
            public_amount=public_amount,
            bound_hash=bound_hash,
        )

    def inputs(self) -> list[int]:
        """Return the public inputs in order: root, nullifiers, commitments, token, amount, bound hash."""
        return [
            self.root,
            *self.nullifiers,
            *self.commitments,
            self.public_token,
            self.public_amount,
            self.bound_hash,
        ]

    def message(self) -> int:
        """Return `M = H_N(all public inputs)`, what the owner signs; raises EncodingError if one is not in [0, r)."""
        return poseidon(self.inputs())


@dataclass(frozen=True)
class SpendWitness:
    """Everything a prover needs for `spend`: no spending key, only a signature and per-note nullifying keys."""

    public: SpendPublic
    spent: tuple[SpentNote, ...]
    outputs: tuple[Note, ...]
    owner_key: Point = field(repr=False)
    signature: Signature = field(repr=False)

    def inputs(self) -> dict[str, InputValue]:
        """Return all signals of the circuit by name."""
        public = self.public
        return {
            "root": public.root,
            "nullifier": list(public.nullifiers),
            "commitment": list(public.commitments),
            "publicToken": public.public_token,
            "publicAmount": public.public_amount,
            "boundHash": public.bound_hash,
            "token": self.spent[0].note.token,
            "inAmount": [item.note.amount for item in self.spent],
            "inBlinding": [item.note.blinding for item in self.spent],
            "inNullifyingKey": [item.nullifying_key for item in self.spent],
            "inLeafIndex": [item.leaf_index for item in self.spent],
            "inPath": [list(item.path) for item in self.spent],
            "ax": self.owner_key.x,
            "ay": self.owner_key.y,
            "r8x": self.signature.r8.x,
            "r8y": self.signature.r8.y,
            "s": self.signature.s,
            "outAmount": [note.amount for note in self.outputs],
            "outOwner": [note.owner for note in self.outputs],
            "outBlinding": [note.blinding for note in self.outputs],
        }


@dataclass(frozen=True)
class InsertPublic:
    """The public inputs of the statement `insert`, in the contract's order."""

    old_root: int
    new_root: int
    start_index: int
    challenge: int
    evaluation: int

    def inputs(self) -> list[int]:
        return [self.old_root, self.new_root, self.start_index, self.challenge, self.evaluation]


@dataclass(frozen=True)
class InsertStatement:
    """One batch insertion with the challenge and the evaluation that tie the circuit's leaves to the contract's."""

    public: InsertPublic
    leaves: tuple[int, ...]
    siblings: tuple[int, ...]

    @classmethod
    def from_batch(cls, batch: BatchInsertion) -> "InsertStatement":
        challenge = insert_challenge(batch.old_root, batch.new_root, batch.start_index, batch.leaves)
        public = InsertPublic(
            old_root=batch.old_root,
            new_root=batch.new_root,
            start_index=batch.start_index,
            challenge=challenge,
            evaluation=insert_evaluation(challenge, batch.leaves),
        )
        return cls(public, batch.leaves, batch.siblings)

    def inputs(self) -> dict[str, InputValue]:
        """Return all signals of the circuit by name."""
        public = self.public
        return {
            "oldRoot": public.old_root,
            "newRoot": public.new_root,
            "startIndex": public.start_index,
            "challenge": public.challenge,
            "evaluation": public.evaluation,
            "leaf": list(self.leaves),
            "sibling": list(self.siblings),
        }


def insert_challenge(old_root: int, new_root: int, start_index: int, leaves: Sequence[int]) -> int:
    """Return `keccak256(oldRoot, newRoot, startIndex, leaf[0..63]) mod r`, over 67 words.

    The new root must be part of it: it fixes the circuit's leaves before the challenge exists, which is why other
    leaves pass the evaluation with probability about 64/r only. Raises EncodingError unless there are 64 leaves.
    """
    if len(leaves) != BATCH:
        raise EncodingError(f"the challenge covers {BATCH} leaves, empty ones 0; got {len(leaves)}")
    return int.from_bytes(_keccak256(_words([old_root, new_root, start_index, *leaves])), "big") % R


def insert_evaluation(challenge: int, leaves: Sequence[int]) -> int:
    """Return the sum of `leaf[i] * challenge^i` modulo r."""
    total = 0
    for leaf in reversed(leaves):
        total = (total * challenge + leaf) % R
    return total


def bound_hash(
    chain_id: int, pool: int, receiver: int, relayer: int, fee: int, deadline: int, memos: Iterable[bytes]
) -> int:
    """Return the public input that ties a spend to its chain, pool, receiver, relayer, fee, deadline and memos.

    `keccak256(abi.encode(chainId, pool, receiver, relayer, fee, deadline, keccak256(memo_0 | memo_1 | ...))) mod r`;
    addresses are integers of 160 bits, the deadline is in seconds since 1970, a memo belongs to the commitment at its
    index. Raises EncodingError for an address out of range or a memo that is not 224 bytes long.
    """
    if not all(0 <= address < _ADDRESS for address in (pool, receiver, relayer)):
        raise EncodingError("pool, receiver and relayer must be addresses of 20 bytes")
    memos = list(memos)
    if not all(len(memo) == MEMO_BYTES for memo in memos):
        raise EncodingError(f"every memo must be {MEMO_BYTES} bytes long")
    memo_hash = int.from_bytes(_keccak256(b"".join(memos)), "big")
    encoded = _words([chain_id, pool, receiver, relayer, fee, deadline, memo_hash])
    return int.from_bytes(_keccak256(encoded), "big") % R


def statement_hash(circuit: str, verification_key_digest: bytes, public_inputs: Sequence[int]) -> bytes:
    """Return the 32 bytes that name a statement: the same for the same circuit, key and public inputs only.

    SHA-256 of `"gelap/v1/statement" | u8 length of the name | name | digest(32) | u32 count | inputs(32 each)`.
    Raises EncodingError for a name that is not 1 to 255 ASCII characters, a digest that is not 32 bytes, or an input
    outside [0, r).
    """
    if not circuit.isascii() or not 1 <= len(circuit) <= 255:
        raise EncodingError("a circuit's name is 1 to 255 ASCII characters")
    if len(verification_key_digest) != 32:
        raise EncodingError(f"a verification key's digest is 32 bytes, got {len(verification_key_digest)}")
    name = circuit.encode("ascii")
    encoded = [_STATEMENT_DOMAIN, bytes([len(name)]), name, verification_key_digest]
    encoded.append(len(public_inputs).to_bytes(4, "big"))
    encoded.extend(to_bytes32(value) for value in public_inputs)
    return hashlib.sha256(b"".join(encoded)).digest()


def _words(values: Iterable[int]) -> bytes:
    words = list(values)
    if not all(0 <= word < _WORD for word in words):
        raise EncodingError("a word must be at least 0 and below 2^256")
    return b"".join(word.to_bytes(32, "big") for word in words)


def _keccak256(data: bytes) -> bytes:
    # Proving needs this module but no Keccak, and a machine that only proves need not have the library.
    from Crypto.Hash import keccak

    return keccak.new(digest_bits=256, data=data).digest()
