"""What tests of wallets and relayers share: a pool for every number of notes, a prover that has all keys, and a relayer
that is asked without HTTP.
"""

from collections.abc import Callable
from typing import Any

from eth_account.signers.local import LocalAccount
from web3 import Web3

from chain.deploy import SpendKey, deploy_contract, deploy_pool, deploy_token
from chain.errors import RelayerError
from chain.pool import Pool, Spend
from chain.proving import SPEND_CIRCUITS
from chain.relayer.quote import Kind, SignedQuote
from chain.relayer.service import Relayer
from chain.relayer.wire import SubmissionModel
from chain.sequencer import Outcome, insert_pending
from chain.state import PoolState
from chain.token import Token
from protocol.keys import Account
from tests.service.chain.anvil import ask
from tests.service.chain.conftest import ACCEPTING_VERIFIER, UncheckedProof, UncheckedProver
from tests.service.chain.relaying import in_block
from wallet.wallet import Wallet

OPERATOR = Account.from_seed(bytes(range(64)), 7)


def pool_of_all(w3: Web3, account: LocalAccount) -> Pool:
    """A fresh pool that accepts every proof, of every number of notes, seen from this account."""
    verifier = deploy_contract(w3, account, ACCEPTING_VERIFIER)
    keys = [SpendKey(*arity, name.encode()) for name, arity in SPEND_CIRCUITS.items()]
    made = deploy_pool(w3, account, verifier.address, b"insert", keys)
    return Pool(w3, made.address, account, deployed_at=made.receipt.block_number)


def insert_everything(pool: Pool) -> None:
    """Move all that waits into the tree, however long that takes on the chain's clock."""
    state = PoolState(pool)
    while (done := insert_pending(pool, state, UncheckedProver())).outcome is not Outcome.NOTHING_PENDING:
        if done.outcome is Outcome.TOO_EARLY:
            ask(pool.w3, "evm_increaseTime", done.wait_seconds)
            ask(pool.w3, "evm_mine")


def token_of(w3: Web3, holders: list[LocalAccount]) -> Token:
    """A new token of which these accounts hold 1000 each."""
    coins = Token(w3, deploy_token(w3, holders[0]).address, holders[0])
    for holder in holders:
        coins.mint(holder.address, 1000)
    return coins


class ProverOfAll(UncheckedProver):
    """Says that it has the keys of every spend circuit."""

    meanwhile: Callable[[], None] = staticmethod(lambda: None)

    def circuits(self) -> list[str]:
        return list(SPEND_CIRCUITS)

    def prove(self, circuit: str, public_inputs: list[int], inputs: Any) -> UncheckedProof:
        self.meanwhile()
        return super().prove(circuit, public_inputs, inputs)


class Direct:
    """A relayer that is asked without HTTP, as RelayerClient asks it; tests replace what it answers.

    It answers when a block holds the payment, so that what a test sees next does not depend on how fast anvil mines.
    """

    name = "relayer.example"

    def __init__(self, relayer: Relayer) -> None:
        self.relayer = relayer
        self.handed: list[tuple[SignedQuote, Spend]] = []

    def quote(self, pool: Pool, token: str, kind: Kind) -> SignedQuote:
        return self.relayer.quote(token, kind)

    def submit(self, signed: SignedQuote, spend: Spend) -> SubmissionModel:
        self.handed.append((signed, spend))
        return self._model(in_block(self.relayer, self.relayer.submit(signed, spend)))

    def status(self, submission_id: str) -> SubmissionModel:
        self.relayer.tend()
        return self._model(self.relayer.find(submission_id))

    @staticmethod
    def _model(item: Any) -> SubmissionModel:
        return SubmissionModel(id=item.id, state=item.state, transaction=item.hashes[-1], detail=item.detail)


def unreachable(*_: object) -> SubmissionModel:
    """A relayer that has disappeared."""
    raise RelayerError("the relayer does not answer (ConnectionError)", "unreachable")


def with_account(wallet: Wallet, account: LocalAccount | None) -> None:
    """Give the wallet an EVM account, or take its own away."""
    wallet.pool.account = wallet.pool._sender._account = account
