"""A typed client of the contract `GelapShieldedAccount`."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_account.signers.local import LocalAccount
from eth_typing import ChecksumAddress
from eth_utils import to_checksum_address
from web3 import Web3

from chain.errors import ChainError, MismatchError
from chain.events import EventPage, PoolEvent, block_hash, read_pages
from chain.reverts import RevertDecoder
from chain.rpc import rpc_errors
from chain.sender import Block, Receipt, Sender
from chain.token import PermitSignature, Token
from contracts import artifact
from protocol.statements import SPEND_ARITIES

DEVELOPMENT_CHAIN = 31337
"""The chain id of anvil and its like, whose clock can be turned."""
CLOCK_TOLERANCE = 15 * 60
"""So many seconds a node's time may be ahead of this machine's clock. A false one would make signed payments good for
years, and have the notes of a payment given back while it can still settle.
"""

NOBODY: ChecksumAddress = to_checksum_address("0x" + "00" * 20)
"""The zero address: no receiver, no relayer."""


@dataclass(frozen=True)
class Spend:
    """The argument of `transact` and `withdraw`: what the contract's `struct Spend` holds, in its order.

    `proof` is 256 bytes (EIP-197 order), `memos[j]` (224 bytes) belongs to `commitments[j]`, `deadline` is in seconds
    since 1970, field elements are plain integers below the scalar field's order.
    """

    proof: bytes = field(repr=False)
    root: int
    nullifiers: Sequence[int]
    commitments: Sequence[int]
    public_token: int
    public_amount: int
    receiver: str
    relayer: str
    fee: int
    deadline: int
    memos: Sequence[bytes] = field(repr=False)

    def as_tuple(self) -> tuple[Any, ...]:
        return (
            self.proof,
            self.root,
            list(self.nullifiers),
            list(self.commitments),
            self.public_token,
            self.public_amount,
            to_checksum_address(self.receiver),
            to_checksum_address(self.relayer),
            self.fee,
            self.deadline,
            list(self.memos),
        )


class Pool:
    """The pool at `address`, seen from one account; without an account it can only be read.

    `deployed_at` is a block at or before the pool's deployment: event reading starts there.
    Every method raises ChainError: RevertedError when the contract refuses, RpcError when the node does not answer.
    """

    def __init__(self, w3: Web3, address: str, account: LocalAccount | None = None, deployed_at: int = 0) -> None:
        self.w3 = w3
        self.address: ChecksumAddress = to_checksum_address(address)
        self.account = account
        self.deployed_at = deployed_at
        pool_abi, token_abi = artifact("GelapShieldedAccount")["abi"], artifact("TestToken")["abi"]
        verifier_abi = artifact("Groth16Verifier")["abi"]
        self._contract = w3.eth.contract(address=self.address, abi=pool_abi)
        self._arities: set[tuple[int, int]] | None = None
        with rpc_errors():
            self.chain_id: int = w3.eth.chain_id
            reverts = RevertDecoder([token_abi, verifier_abi, pool_abi])
            self._sender = Sender(w3, account, reverts, chain_id=self.chain_id)
            if not w3.eth.get_code(self.address):
                raise ChainError(f"there is no contract at {self.address} on chain {self.chain_id}: check the address")

    def token(self, address: str) -> Token:
        """The ERC-20 token at `address`, for the same account."""
        return Token(self.w3, address, self.account, self.chain_id)

    # Transactions

    def deposit(self, token: str, amount: int, pre_commitment: int, memo: bytes) -> Receipt:
        """Pull `amount` of `token` (approved before) from this account and queue its note."""
        return self._send("deposit", to_checksum_address(token), amount, pre_commitment, memo)

    def deposit_with_permit(
        self, token: str, amount: int, pre_commitment: int, memo: bytes, permit: PermitSignature
    ) -> Receipt:
        """`deposit` that brings its allowance along as an EIP-2612 permit signed by this account."""
        return self._send("depositWithPermit", to_checksum_address(token), amount, pre_commitment, memo, *permit)

    def transact(self, spend: Spend) -> Receipt:
        """Settle a private transfer."""
        return self._send("transact", spend.as_tuple())

    def withdraw(self, spend: Spend) -> Receipt:
        """Settle a withdrawal to `spend.receiver`."""
        return self._send("withdraw", spend.as_tuple())

    def spend_data(self, spend: Spend) -> str:
        """The call data (0x hex) that settles a spend: `transact`, or `withdraw` where there is a receiver."""
        function = "transact" if to_checksum_address(spend.receiver) == NOBODY else "withdraw"
        return self._contract.encode_abi(function, args=[spend.as_tuple()])

    def estimate(self, data: str, block: Block = "pending") -> int:
        """The gas of a call by this account after `block`; RevertedError when the pool would refuse it there."""
        return self._sender.estimate(self.address, data, block)

    def insert_data(self, new_root: int, count: int, proof: bytes) -> str:
        """The call data (0x hex) of `insert`."""
        return self._contract.encode_abi("insert", args=[new_root, count, proof])

    def insert(self, new_root: int, count: int, proof: bytes) -> Receipt:
        """Move the first `count` queued commitments into the tree."""
        return self._send("insert", new_root, count, proof)

    # Views

    def merkle_root(self, block: Block = "latest") -> int:
        return self._word("merkleRoot", block=block)

    def known_root(self, root: int) -> bool:
        return bool(self._word("knownRoot", root))

    def next_leaf_index(self, block: Block = "latest") -> int:
        return self._word("nextLeafIndex", block=block)

    def nullifier_used(self, nullifier: int) -> bool:
        return bool(self._word("nullifierUsed", nullifier))

    def pending_count(self, block: Block = "latest") -> int:
        return self._word("pendingCount", block=block)

    def due_count(self, block: Block = "latest") -> int:
        """How many of the oldest pending commitments a short batch must hold at the time of `block`."""
        return self._word("dueCount", block=block)

    def arities(self) -> set[tuple[int, int]]:
        """For which of the known numbers of inputs and outputs (`protocol.statements.SPEND_ARITIES`) this pool has a
        key. A pool's keys never change: it is asked once.
        """
        if self._arities is None:
            self._arities = {arity for arity in SPEND_ARITIES if self._word("spendKey", *arity)}
        return set(self._arities)

    # The chain around it

    def block_number(self) -> int:
        with rpc_errors():
            return int(self.w3.eth.block_number)

    def block_hash(self, number: int) -> str | None:
        """The hash (0x hex) of block `number`, or None when the chain does not have it."""
        return block_hash(self.w3, number)

    def now(self) -> int:
        """The time the next block would carry, in seconds since 1970: the pool's rules are about block times."""
        return self.time_of("pending")

    def time_of(self, block: Block) -> int:
        """The time of a block, in seconds since 1970. MismatchError when it is far ahead of this machine's clock."""
        with rpc_errors():
            told = int(self.w3.eth.get_block(block)["timestamp"])
        ahead = told - int(time.time())
        if ahead > CLOCK_TOLERANCE and self.chain_id != DEVELOPMENT_CHAIN:
            raise MismatchError(
                f"the node's blocks are {ahead // 60} minutes ahead of this machine's clock: set the clock, or use "
                "another node"
            )
        return told

    def pages(self, from_block: int | None = None, to_block: int | None = None) -> Iterator[EventPage]:
        """The pool's events, oldest first, in pages of consecutive blocks; from its deployment to the newest block."""
        first = self.deployed_at if from_block is None else from_block
        return read_pages(self.w3, self.address, first, self.block_number() if to_block is None else to_block)

    def events(self, from_block: int | None = None, to_block: int | None = None) -> Iterator[PoolEvent]:
        """The same events one by one."""
        for page in self.pages(from_block, to_block):
            yield from page.events

    def _send(self, function: str, *arguments: Any) -> Receipt:
        return self._sender.send(self.address, self._contract.encode_abi(function, args=list(arguments)))

    def _word(self, function: str, *arguments: Any, block: Block = "latest") -> int:
        data = self._contract.encode_abi(function, args=list(arguments))
        result = bytes(self._sender.call(self.address, data, block))
        if len(result) != 32:
            raise ChainError(f"{self.address} does not answer {function}: it is not a Gelap pool")
        return int.from_bytes(result, "big")
