"""Proofs of the real circuits, from a committed fixture, settled on anvil through the typed client in one pool."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account as EvmAccount
from web3 import Web3

from chain.deploy import deploy_token, deploy_with_keys
from chain.errors import ChainError, RevertedError
from chain.pool import Pool, Spend
from chain.rpc import connect
from chain.state import PoolState
from chain.token import Token
from contracts.tools.make_fixtures import FIXTURES
from contracts.tools.scenario import DEPLOYER_KEY
from gelap.servers import private_anvil

FIXTURE = json.loads((FIXTURES / "arities.json").read_text())
KEYS = {name: bytes.fromhex(key[2:]) for name, key in FIXTURE["keys"].items()}


@pytest.fixture
def fresh() -> Iterator[Web3]:
    """A chain of its own: the proofs bind addresses that follow from the deployer's first nonces."""
    with private_anvil() as url:
        w3 = connect(url)
        deployer = EvmAccount.from_key(DEPLOYER_KEY).address
        w3.provider.make_request("anvil_setBalance", [deployer, hex(10**20)])  # type: ignore[arg-type]
        yield w3


def words(text: str) -> list[int]:
    data = bytes.fromhex(text[2:])
    return [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)]


def spend_of(part: dict[str, Any]) -> Spend:
    return Spend(
        proof=bytes.fromhex(part["proof"][2:]),
        root=int(part["root"], 16),
        nullifiers=words(part["nullifiers"]),
        commitments=words(part["commitments"]),
        public_token=int(part["publicToken"], 16),
        public_amount=part["publicAmount"],
        receiver=part["receiver"],
        relayer=part["relayer"],
        fee=part["fee"],
        deadline=part["deadline"],
        memos=[bytes.fromhex(memo[2:]) for memo in part["memos"]],
    )


def test_spends_of_every_arity_settle_in_one_pool(fresh: Web3) -> None:
    account = EvmAccount.from_key(DEPLOYER_KEY)
    made = deploy_with_keys(fresh, account, KEYS)
    pool = Pool(fresh, made.pool.address, account, made.pool.receipt.block_number)
    token = Token(fresh, deploy_token(fresh, account).address, account)
    assert (pool.address.lower(), token.address.lower()) == (FIXTURE["pool"], FIXTURE["token"])
    assert pool.arities() == {(2, 2), (2, 3), (8, 2)}
    token.mint(account.address, 80)
    token.approve(pool.address, 80)

    def insert(name: str) -> None:
        fresh.provider.make_request("evm_increaseTime", [120])  # type: ignore[arg-type]
        fresh.provider.make_request("evm_mine", [])  # type: ignore[arg-type]
        batch = FIXTURE[name]
        pool.insert(int(batch["newRoot"], 16), batch["count"], bytes.fromhex(batch["proof"][2:]))

    for part in FIXTURE["deposits"]:
        pool.deposit(token.address, part["amount"], int(part["preCommitment"], 16), bytes.fromhex(part["memo"][2:]))
    insert("firstInsert")
    pool.transact(spend_of(FIXTURE["consolidate"]))
    insert("secondInsert")

    three, two = spend_of(FIXTURE["transact"]), spend_of(FIXTURE["payOn"])
    with pytest.raises(RevertedError, match=r"MemoCount\(memos=2, commitments=3\)"):
        pool.transact(replace(three, memos=three.memos[:2]))
    with pytest.raises(RevertedError, match=r"UnknownArity\(inputs=2, outputs=1\).*no key for this number of notes"):
        pool.transact(replace(three, commitments=three.commitments[:1], memos=three.memos[:1]))
    with pytest.raises(RevertedError, match="InvalidProof"):
        pool.transact(replace(three, proof=two.proof))
    pool.transact(three)
    insert("thirdInsert")
    with pytest.raises(RevertedError, match="InvalidProof"):
        pool.transact(replace(two, proof=three.proof))
    pool.transact(two)
    withdrawal = spend_of(FIXTURE["withdraw"])
    twice = [*withdrawal.nullifiers[:7], withdrawal.nullifiers[0]]
    with pytest.raises(RevertedError, match="NullifierAlreadyUsed"):
        pool.withdraw(replace(withdrawal, nullifiers=twice))
    pool.withdraw(withdrawal)

    assert token.balance_of(withdrawal.receiver) == 13
    assert token.balance_of(pool.address) == 80 - 15
    assert all(pool.nullifier_used(nullifier) for nullifier in withdrawal.nullifiers)
    # Events of all arities rebuild the contract's tree.
    state = PoolState(pool).sync()
    assert state.root == pool.merkle_root() == int(FIXTURE["thirdInsert"]["newRoot"], 16)
    assert pool.pending_count() == 4


def test_a_pool_is_deployed_with_the_keys_there_are(fresh: Web3) -> None:
    account = EvmAccount.from_key(DEPLOYER_KEY)
    for names, arities in (
        (["insert_64", "spend_2x2"], {(2, 2)}),
        (["spend_8x2", "somebody's", "insert_64"], {(8, 2)}),
    ):
        made = deploy_with_keys(fresh, account, {name: KEYS.get(name, b"") for name in names})
        assert Pool(fresh, made.pool.address).arities() == arities
    for names in (["spend_2x2"], ["insert_64"], []):
        with pytest.raises(ChainError, match="gelap keys make"):
            deploy_with_keys(fresh, account, {name: KEYS[name] for name in names})
