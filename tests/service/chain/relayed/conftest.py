"""A wallet that pays through relayers, on a pool of which every test takes back what it did."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from eth_account.signers.local import LocalAccount
from web3 import Web3

from chain.pool import Pool
from chain.relayer.note_fees import NoteFees
from chain.relayer.service import Relayer
from chain.token import Token
from protocol.keys import Account
from tests.service.chain.anvil import ask
from tests.service.chain.relayed_wallets import (
    OPERATOR,
    Direct,
    ProverOfAll,
    insert_everything,
    pool_of_all,
    token_of,
    with_account,
)
from tests.service.chain.relaying import make_relayer
from wallet import relaying
from wallet.wallet import Wallet


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relaying, "POLL_SECONDS", 0.05)


@dataclass(frozen=True)
class Prepared:
    """A pool, a token, and the file of a wallet with a note of 400 that can be spent: made once for all tests."""

    pool: Pool
    token: Token
    file: Path


@pytest.fixture(scope="session")
def prepared(w3: Web3, evm_accounts: list[LocalAccount], tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    pool, token = pool_of_all(w3, evm_accounts[0]), token_of(w3, evm_accounts)
    file = tmp_path_factory.mktemp("prepared") / "alice.db"
    with Wallet(file, Account.from_seed(bytes(range(64)), 0), pool=pool) as wallet:
        wallet.deposit(token.address, 400)
        insert_everything(pool)
        wallet.sync()
    return Prepared(pool, token, file)


@pytest.fixture
def pool(prepared: Prepared, evm_accounts: list[LocalAccount]) -> Iterator[Pool]:
    """A pool that accepts every proof, of every number of notes; what a test does to the chain is taken back."""
    made = prepared.pool
    snapshot = ask(made.w3, "evm_snapshot")
    yield Pool(made.w3, made.address, evm_accounts[0], made.deployed_at)
    ask(made.w3, "evm_revert", snapshot)


@pytest.fixture
def token(prepared: Prepared) -> Token:
    return prepared.token


@pytest.fixture
def prover() -> ProverOfAll:
    return ProverOfAll()


@pytest.fixture
def relayer(pool: Pool, token: Token, tmp_path: Path) -> Iterator[Relayer]:
    made = make_relayer(pool, token, tmp_path, note_fees=NoteFees.of(OPERATOR.viewing()))
    yield made
    made._journal.close()


@pytest.fixture
def via(relayer: Relayer) -> Direct:
    return Direct(relayer)


@pytest.fixture
def alice(open_wallet: Callable[..., Wallet], prepared: Prepared, tmp_path: Path) -> Wallet:
    """A wallet with a note of 400 that can be spent, and no EVM account."""
    shutil.copy(prepared.file, tmp_path / "wallet-0.db")
    wallet = open_wallet(0)
    wallet.sync()
    with_account(wallet, None)
    return wallet
