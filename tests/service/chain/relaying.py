"""What tests of relayers share: a served one, a clock, and payments for the accepting verifier."""

import json
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from eth_account import Account as EvmAccount
from eth_account.signers.local import LocalAccount
from hexbytes import HexBytes
from web3 import Web3

from chain.deploy import SpendKey, deploy_contract, deploy_pool, deploy_token
from chain.pool import NOBODY, Pool, Spend
from chain.relayer import metrics
from chain.relayer.app import relayer_app
from chain.relayer.journal import Journal, Submission
from chain.relayer.policy import Policy
from chain.relayer.prices import Prices
from chain.relayer.quote import SignedQuote
from chain.relayer.service import Relayer
from chain.token import Token
from gelap.children import Child
from gelap.rate_limit import RateLimit
from protocol.address import Address
from protocol.field import R
from protocol.memo import encrypt
from protocol.note import MEMO_BYTES, Note, random_blinding
from tests.service.chain.anvil import ask, ended, until
from tests.service.chain.conftest import ACCEPTING_VERIFIER

RECEIVER = "0x00000000000000000000000000000000000000AC"
# So many units of the token for an ether that a payment costs some tens of units on anvil.
ONE_ETHER = "30000"
STEP = 3600


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@contextmanager
def served(relayer: Relayer, limit: RateLimit | None = None) -> Iterator[str]:
    """The relayer's interface at the URL that is yielded."""
    config = uvicorn.Config(relayer_app(relayer, limit), port=0, log_config=None, access_log=False, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started or not thread.is_alive())
        assert server.started
        (listening,) = server.servers[0].sockets
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        ended(thread)


def listening(child: Child) -> dict[str, Any]:
    """What the log of a relayer's or a sequencer's process says when it is ready: its ports among it."""
    found: list[str] = []

    def said() -> bool:
        lines = (line for line in child.log_text().splitlines() if line.endswith("}"))
        found[:] = [line for line in lines if f'"event": "{child.name} ready"' in line]
        assert found or child.ended() is None, child.ended()
        return bool(found)

    until(said, 120)
    return dict(json.loads(found[0]))


def in_block(relayer: Relayer, sent: Submission) -> Submission:
    """The submission once a block holds it: anvil mines a moment after it took a transaction, and reads of the chain
    come before that on a busy machine.
    """
    relayer.pool.w3.eth.wait_for_transaction_receipt(HexBytes(sent.hashes[-1]), timeout=60, poll_latency=0.02)
    return sent


def tended(relayer: Relayer, submission_id: str) -> Submission:
    """The submission when it has ended: anvil mines a moment after it took a transaction."""

    def is_over() -> bool:
        if relayer.find(submission_id).state == "pending":
            relayer.tend()
        return relayer.find(submission_id).state != "pending"

    until(is_over)
    return relayer.find(submission_id)


def funded_account(w3: Web3, ether: float = 10.0) -> LocalAccount:
    """A new account with so much ether."""
    account = EvmAccount.create()
    ask(w3, "anvil_setBalance", account.address, hex(int(ether * 10**18)))
    return account


def accepting_pool(w3: Web3, account: LocalAccount, arities: Sequence[tuple[int, int]] = ((2, 2),)) -> Pool:
    """A fresh pool that accepts every proof of spends of these numbers of inputs and outputs."""
    verifier = deploy_contract(w3, account, ACCEPTING_VERIFIER)
    keys = [SpendKey(*arity, f"spend {arity}".encode()) for arity in arities]
    made = deploy_pool(w3, account, verifier.address, b"insert", keys)
    return Pool(w3, made.address, account, deployed_at=made.receipt.block_number)


def stocked_token(pool: Pool, amount: int = 10**6) -> Token:
    """A new token of which the pool holds so much, to pay out."""
    assert pool.account is not None
    token = Token(pool.w3, deploy_token(pool.w3, pool.account).address, pool.account)
    token.mint(pool.address, amount)
    return token


def make_relayer(
    pool: Pool, token: Token, folder: Path, policy: Policy | None = None, clock: Clock | None = None, **options: Any
) -> Relayer:
    """A relayer with an account and a journal of its own in `folder`."""
    account = funded_account(pool.w3)
    prices = folder / "prices.json"
    prices.write_text(json.dumps({token.address: ONE_ETHER}))
    seen = Pool(pool.w3, pool.address, account, pool.deployed_at)
    journal = Journal(folder / f"{account.address}.db")
    return Relayer(seen, account, Prices(prices), journal, policy, clock or Clock(), **options)


def relayed(relayer: Relayer, token: Token) -> Submission:
    """A withdrawal in the relayer's hands, with a quote of its own."""
    quote = relayer.quote(token.address, "withdraw")
    return relayer.submit(quote, paid_on_chain(relayer.pool, quote))


def metric(name: str, **labels: str) -> float:
    """What the relayers of this process count; 0 for what none of them has counted."""
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def random_word() -> int:
    return secrets.randbelow(R - 1) + 1


def paid_on_chain(pool: Pool, quote: SignedQuote, amount: int = 50) -> Spend:
    """A withdrawal that pays the quote's fee; its notes are made up."""
    terms = quote.quote
    return Spend(
        proof=secrets.token_bytes(256),
        root=pool.merkle_root(),
        nullifiers=[random_word(), random_word()],
        commitments=[random_word(), random_word()],
        public_token=int(terms.token, 16),
        public_amount=amount + terms.fee,
        receiver=RECEIVER,
        relayer=terms.relayer,
        fee=terms.fee,
        deadline=pool.now() + STEP,
        memos=[secrets.token_bytes(MEMO_BYTES) for _ in range(2)],
    )


def paid_with_note(pool: Pool, payee: Address, token: int, amount: int, inputs: int = 2, place: int = 2) -> Spend:
    """A transfer to three notes, number `place` of them one of `amount` for `payee`; the others are made up."""
    note = Note(token, amount, payee.owner, random_blinding())
    memos = [secrets.token_bytes(MEMO_BYTES) for _ in range(3)]
    commitments = [random_word() for _ in range(3)]
    memos[place], commitments[place] = encrypt(note, payee), note.commitment
    return private(pool, [random_word() for _ in range(inputs)], commitments, memos)


def private(pool: Pool, nullifiers: Sequence[int], commitments: Sequence[int], memos: Sequence[bytes]) -> Spend:
    """A transfer of which the chain shows neither fee nor relayer."""
    return Spend(
        proof=secrets.token_bytes(256),
        root=pool.merkle_root(),
        nullifiers=nullifiers,
        commitments=commitments,
        public_token=0,
        public_amount=0,
        receiver=NOBODY,
        relayer=NOBODY,
        fee=0,
        deadline=pool.now() + STEP,
        memos=memos,
    )
