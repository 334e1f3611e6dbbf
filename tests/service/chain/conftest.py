"""A private anvil with the real contracts; only the verifier is replaced where a test is not about proofs."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as EvmAccount
from eth_account.signers.local import LocalAccount
from web3 import Web3

from chain.deploy import SpendKey, deploy_contract, deploy_pool, deploy_token
from chain.pool import Pool
from chain.proving import ProofSource
from chain.rpc import connect
from chain.sequencer import Outcome, insert_pending
from chain.state import PoolState
from chain.token import Token
from chain.transactions import Transactions
from gelap.servers import private_anvil
from protocol.keys import Account
from protocol.note import MEMO_BYTES
from tests.service.chain.anvil import ask, make_idle, no_mining
from wallet.wallet import Wallet

# A verifier that accepts any call with public values and a proof, and reverts on an empty one, as the pool's
# constructor demands. The code: revert unless calldatasize > 164; then stop.
ACCEPTING_VERIFIER = {"abi": [], "bytecode": "0x6b60a43611600a575f5ffd5b005f52600c6014f3"}

# More than a deposit takes; a block has room for more than a hundred.
DEPOSIT_GAS = 200_000

ANVIL_MNEMONIC = "test test test test test test test test test test test junk"


@dataclass(frozen=True)
class UncheckedProof:
    proof: bytes
    cached: bool = False
    seconds: Mapping[str, float] = field(default_factory=dict)


class UncheckedProver:
    """Stands in where the accepting verifier does: no proof is made or checked, only the statement is remembered."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[int], Mapping[str, Any]]] = []

    def prove(self, circuit: str, public_inputs: list[int], inputs: Mapping[str, Any]) -> UncheckedProof:
        self.asked.append((circuit, public_inputs, inputs))
        return UncheckedProof(secrets.token_bytes(256))


@pytest.fixture(scope="session")
def w3() -> Iterator[Web3]:
    with private_anvil() as url:
        yield connect(url)


@pytest.fixture(autouse=True)
def _idle_chain(request: pytest.FixtureRequest) -> None:
    """All tests share one node. Each of them finds it idle, at the same price of gas, whichever ran before: a test may
    have left a transaction behind, and the prices that it brought up fall only with the blocks that follow.
    """
    if "w3" in request.fixturenames:
        make_idle(request.getfixturevalue("w3"))


@pytest.fixture(scope="session")
def evm_accounts() -> list[LocalAccount]:
    """Three of anvil's funded accounts."""
    EvmAccount.enable_unaudited_hdwallet_features()
    return [EvmAccount.from_mnemonic(ANVIL_MNEMONIC, account_path=f"m/44'/60'/0'/0/{i}") for i in range(3)]


@pytest.fixture
def pass_time(w3: Web3) -> Callable[[int], None]:
    """Let the chain's clock jump by so many seconds and mine a block there."""

    def jump(seconds: int) -> None:
        ask(w3, "evm_increaseTime", seconds)
        ask(w3, "evm_mine")

    return jump


@pytest.fixture
def token(w3: Web3, evm_accounts: list[LocalAccount]) -> Token:
    """A test token of which every account holds 1000."""
    coins = Token(w3, deploy_token(w3, evm_accounts[0]).address, evm_accounts[0])
    for account in evm_accounts:
        coins.mint(account.address, 1000)
    return coins


@pytest.fixture
def pool(w3: Web3, evm_accounts: list[LocalAccount]) -> Pool:
    """A fresh pool that accepts every proof, as the first account sees it."""
    verifier = deploy_contract(w3, evm_accounts[0], ACCEPTING_VERIFIER)
    made = deploy_pool(w3, evm_accounts[0], verifier.address, b"insert", [SpendKey(2, 2, b"spend")])
    return Pool(w3, made.address, evm_accounts[0], deployed_at=made.receipt.block_number)


@pytest.fixture
def queue(pool: Pool, token: Token) -> Callable[[int], None]:
    """Queue so many commitments, all in one block."""
    token.approve(pool.address, 1000)
    assert pool.account is not None
    transactions = Transactions(pool.w3, pool.account, pool.address, pool.chain_id)

    def deposit(count: int) -> None:
        nonce, price, before = transactions.nonce(), transactions.price(), pool.pending_count()
        with no_mining(pool.w3):
            for number in range(count):
                arguments = [token.address, 1, before + number + 1, bytes(MEMO_BYTES)]
                data = pool._contract.encode_abi("deposit", args=arguments)
                assert transactions.send(*transactions.sign(nonce + number, price, DEPOSIT_GAS, data))
        assert pool.pending_count() == before + count

    return deposit


@pytest.fixture
def prover() -> UncheckedProver:
    return UncheckedProver()


@pytest.fixture
def insert_all(pool: Pool, pass_time: Callable[[int], None]) -> Callable[..., None]:
    """Move everything pending into the tree, however long that takes on the chain's clock."""

    def insert(prover: ProofSource | None = None) -> None:
        state = PoolState(pool)
        while True:
            result = insert_pending(pool, state, prover or UncheckedProver())
            if result.outcome is Outcome.NOTHING_PENDING:
                return
            if result.outcome is Outcome.TOO_EARLY:
                pass_time(result.wait_seconds)

    return insert


@pytest.fixture
def open_wallet(
    pool: Pool, evm_accounts: list[LocalAccount], prover: UncheckedProver, tmp_path: Path
) -> Iterator[Callable[..., Wallet]]:
    """Open the wallet of account number `index`; its EVM account has the same number."""
    opened: list[Wallet] = []

    def open_(index: int, name: str | None = None, prover: ProofSource = prover) -> Wallet:
        seen = Pool(pool.w3, pool.address, evm_accounts[index], pool.deployed_at)
        keys = Account.from_seed(bytes(range(64)), index)
        wallet = Wallet(tmp_path / (name or f"wallet-{index}.db"), keys, pool=seen, prover=prover)
        opened.append(wallet)
        return wallet

    yield open_
    for wallet in opened:
        wallet.close()
