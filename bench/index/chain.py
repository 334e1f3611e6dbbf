"""A chain with one pool on it, made up: what a JSON-RPC endpoint would say about it, and no more.

Its roots come from `protocol.merkle`, one batch after another, and not from the code of the indexer that reads it.
"""

import hashlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from indexer import events
from indexer.contract import MERKLE_ROOT, NEXT_LEAF_INDEX, PENDING_COUNT
from protocol.field import R
from protocol.merkle import BATCH, HashPairs, MerkleTree
from protocol.note import MEMO_BYTES

POOL = bytes.fromhex("00000000000000000000000000000000000090e1")
BLOCK_SECONDS = 12
# So many tokens and receivers have the withdrawals of all made-up chains.
TOKENS, RECEIVERS = 3, 10


class RefusalError(Exception):
    """What an endpoint answers with an error."""


@dataclass(frozen=True)
class Transaction:
    """So many nullifiers and commitments; a withdrawal; or a tree update with so many leaves, 0 for none."""

    nullifiers: int = 0
    commitments: int = 0
    withdrawal: bool = False
    inserts: int = 0


@dataclass
class Block:
    number: int
    hash: str
    timestamp: int
    logs: list[dict[str, Any]]
    root: int
    next_leaf_index: int
    pending: int
    queued: int = 0
    batches: list[list[int]] = field(default_factory=list)


class SyntheticChain:
    """Blocks from number 0, which is empty. `salt` makes the contents of two chains differ.

    `max_blocks` is the most that one eth_getLogs may cover; `broken` is called before each answer and may raise.
    """

    def __init__(
        self,
        hash_pairs: HashPairs | None = None,
        chain_id: int = 31337,
        salt: str = "",
        block_times: bool = True,
        block_seconds: int = BLOCK_SECONDS,
    ) -> None:
        self.chain_id = chain_id
        self.max_blocks: int | None = None
        self.broken: Callable[[str, Sequence[Any]], None] = lambda method, params: None
        self._hash_pairs = hash_pairs
        self._salt = salt
        self._block_times = block_times
        self._block_seconds = block_seconds
        self._fresh = itertools.count()
        self._tree = MerkleTree(hash_pairs)
        self._pending: list[int] = []
        self._all: list[int] = []
        self.blocks: list[Block] = []
        self.add([])

    @property
    def head(self) -> int:
        return len(self.blocks) - 1

    @property
    def root(self) -> int:
        return self._tree.root

    @property
    def commitments(self) -> list[int]:
        return list(self._all)

    @property
    def pending(self) -> int:
        return len(self._pending)

    def add(self, transactions: Sequence[Transaction]) -> None:
        """Append a block; a tree update takes from what was queued before it in the block too."""
        number = len(self.blocks)
        block_hash = self._word(f"block {number}")
        timestamp = 1_700_000_000 + self._block_seconds * number
        logs: list[dict[str, Any]] = []
        batches: list[list[int]] = []
        for transaction in transactions:
            transaction_hash = self._word("transaction")
            for topics, data in self._logs_of(transaction, batches):
                entry = {
                    "address": "0x" + POOL.hex(),
                    "topics": topics,
                    "data": data,
                    "blockNumber": hex(number),
                    "blockHash": block_hash,
                    "transactionHash": transaction_hash,
                    "transactionIndex": "0x0",
                    "logIndex": hex(len(logs)),
                    "removed": False,
                }
                if self._block_times:
                    entry["blockTimestamp"] = hex(timestamp)
                logs.append(entry)
        state = (self._tree.root, self._tree.next_index, len(self._pending), len(self._all), batches)
        self.blocks.append(Block(number, block_hash, timestamp, logs, *state))

    def cut(self, head: int) -> None:
        """Forget all blocks above `head`, as a reorganisation does before it puts others there."""
        del self.blocks[head + 1 :]
        batches = [batch for block in self.blocks for batch in block.batches]
        self._tree = MerkleTree.from_batches(batches, self._hash_pairs) if batches else MerkleTree(self._hash_pairs)
        del self._all[self.blocks[-1].queued :]
        self._pending = self._all[sum(map(len, batches)) :]

    def answer(self, method: str, params: Sequence[Any]) -> Any:
        """The result of a request. Raises RefusalError."""
        self.broken(method, params)
        if method == "eth_chainId":
            return hex(self.chain_id)
        if method == "eth_blockNumber":
            return hex(self.head)
        if method == "eth_getCode":
            return "0x60" if params[0] == "0x" + POOL.hex() else "0x"
        if method == "eth_getBlockByNumber":
            number = int(params[0], 16)
            if number > self.head:
                return None
            block = self.blocks[number]
            return {"number": params[0], "hash": block.hash, "timestamp": hex(block.timestamp)}
        if method == "eth_call":
            return self._call(params)
        if method == "eth_getLogs":
            first, last = (int(params[0][name], 16) for name in ("fromBlock", "toBlock"))
            return [entry for block in self.logged(first, last) for entry in block.logs]
        raise RefusalError(f"the method {method} does not exist")

    def logged(self, first: int, last: int) -> list[Block]:
        """The blocks of one eth_getLogs. Raises RefusalError for more of them than allowed, or than there are."""
        if last > self.head:
            raise RefusalError("block range extends beyond current head block")
        if self.max_blocks is not None and last - first + 1 > self.max_blocks:
            raise RefusalError(f"query exceeds max block range {self.max_blocks}")
        return self.blocks[first : last + 1]

    def _call(self, params: Sequence[Any]) -> str:
        block = self.blocks[int(params[1], 16)]
        values = {MERKLE_ROOT: block.root, NEXT_LEAF_INDEX: block.next_leaf_index, PENDING_COUNT: block.pending}
        return f"0x{values[params[0]['data']]:064x}"

    def _logs_of(self, transaction: Transaction, batches: list[list[int]]) -> list[tuple[list[str], str]]:
        found: list[tuple[list[str], str]] = []
        for _ in range(transaction.nullifiers):
            found.append(([events.NULLIFIED, f"0x{self._number('nullifier'):064x}"], "0x"))
        for _ in range(transaction.commitments):
            commitment = self._number("commitment")
            memo = (self._word("memo")[2:] * 7)[: 2 * MEMO_BYTES]
            found.append(
                (
                    [events.QUEUED, f"0x{len(self._all):064x}"],
                    f"0x{commitment:064x}{64:064x}{MEMO_BYTES:064x}{memo}",
                )
            )
            self._all.append(commitment)
            self._pending.append(commitment)
        if transaction.withdrawal:
            receiver, token = (self._one_of(many, name) for name, many in (("receiver", RECEIVERS), ("token", TOKENS)))
            amount = self._number("amount") % 2**128
            found.append(([events.WITHDRAWN, "0x" + receiver, "0x" + token], f"0x{amount:064x}"))
        size = min(transaction.inserts, len(self._pending), BATCH)
        if size:
            batch = self._pending[:size]
            del self._pending[:size]
            done = self._tree.insert_batch(batch)
            batches.append(batch)
            found.append(([events.INSERTED], f"0x{done.new_root:064x}{done.start_index:064x}{size:064x}"))
        return found

    def _word(self, kind: str) -> str:
        text = f"{self._salt}|{kind}|{next(self._fresh)}"
        return "0x" + hashlib.sha256(text.encode()).hexdigest()

    def _one_of(self, many: int, kind: str) -> str:
        """An address in a topic, of so many that there are."""
        chosen = f"{kind}|{int(self._word(kind), 16) % many}"
        return hashlib.sha256(chosen.encode()).hexdigest()[-40:].rjust(64, "0")

    def _number(self, kind: str) -> int:
        return int(self._word(kind), 16) % (R - 1) + 1


def busy_chain(
    commitments: int, hash_pairs: HashPairs | None = None, payments: int = 8, chain_id: int = 31337
) -> SyntheticChain:
    """A chain of blocks with `payments` private payments each, and full batches, up to so many commitments."""
    chain = SyntheticChain(hash_pairs, chain_id)
    for _ in range(10):
        chain.add([])
    while len(chain.commitments) < commitments:
        ready = chain.pending + 2 * payments >= BATCH
        chain.add([*[Transaction(2, 2)] * payments, Transaction(inserts=BATCH * ready)])
    return chain
