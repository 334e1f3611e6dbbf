"""A relayer of its own for each test, on one pool and with one token for all tests of a file."""

from pathlib import Path

import pytest
from eth_account.signers.local import LocalAccount
from web3 import Web3

from chain.pool import Pool
from chain.relayer.policy import Policy
from chain.relayer.service import Relayer
from chain.token import Token
from tests.service.chain.relaying import Clock, accepting_pool, make_relayer, stocked_token


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def pool(w3: Web3, evm_accounts: list[LocalAccount]) -> Pool:
    return accepting_pool(w3, evm_accounts[0])


@pytest.fixture(scope="module")
def token(pool: Pool) -> Token:
    return stocked_token(pool)


@pytest.fixture
def policy() -> Policy:
    return Policy()


@pytest.fixture
def relayer(pool: Pool, token: Token, tmp_path: Path, clock: Clock, policy: Policy) -> Relayer:
    return make_relayer(pool, token, tmp_path, policy, clock)
