"""The mnemonic and the chain bring back balances and history, of every kind of payment; and what they do not."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from web3 import Web3

from chain.pool import Pool
from chain.relayer.note_fees import NoteFees
from chain.token import Token
from protocol.keys import Account
from tests.service.chain.relayed_wallets import OPERATOR, Direct, ProverOfAll, insert_everything, pool_of_all, token_of
from tests.service.chain.relaying import RECEIVER, make_relayer
from wallet import relaying
from wallet.wallet import Wallet


@dataclass(frozen=True)
class Past:
    """Two wallets after deposits, payments paid for in every way, merges of two sizes and a withdrawal."""

    pool: Pool
    token: Token
    via: Direct
    alice: Wallet
    bob: Wallet

    @property
    def wallets(self) -> tuple[Wallet, Wallet]:
        return self.alice, self.bob


@pytest.fixture(scope="module")
def past(w3: Web3, evm_accounts: list[LocalAccount], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    folder = tmp_path_factory.mktemp("past")
    pool, token = pool_of_all(w3, evm_accounts[0]), token_of(w3, evm_accounts)
    relayer = make_relayer(pool, token, folder, note_fees=NoteFees.of(OPERATOR.viewing()))
    made = Past(pool, token, Direct(relayer), *(opened(folder, pool, number) for number in range(2)))
    with made.alice, made.bob, pytest.MonkeyPatch.context() as patch:
        patch.setattr(relaying, "POLL_SECONDS", 0.05)
        live_through(made)
        yield made
    relayer._journal.close()


def opened(folder: Path, pool: Pool, number: int) -> Wallet:
    keys = Account.from_seed(bytes(range(64)), number)
    return Wallet(folder / f"wallet-{number}.db", keys, pool=pool, prover=ProverOfAll())


def live_through(past: Past) -> None:
    alice, bob, token = past.alice, past.bob, past.token.address
    relayed: Any = {"via": past.via, "max_fee": 200}

    def settled() -> None:
        insert_everything(past.pool)
        alice.sync()
        bob.sync()

    for _ in range(9):
        alice.deposit(token, 100)
    settled()
    alice.send(bob.new_address("openly"), token, 60, text="by its own account")
    settled()
    alice.send(bob.new_address("relayed"), token, 50, text="by a relayer", **relayed)
    settled()
    alice.send(bob.new_address("privately"), token, 40, private_fee=True, **relayed)
    settled()
    alice.consolidate(token, **relayed)
    settled()
    alice.withdraw(RECEIVER, token, 30, **relayed)
    bob.consolidate(token)
    settled()
    alice.send(alice.new_address("to oneself"), token, 20)
    alice.sync()
    bob.sync()
    assert alice.balance(token).pending > 0


def test_balances_and_history_are_the_same_after_a_restore_and_with_a_viewing_key(past: Past, tmp_path: Path) -> None:
    for number, before in enumerate(past.wallets):
        assert isinstance(before.keys, Account)
        before.sync()
        with (
            opened(tmp_path, past.pool, number) as restored,
            Wallet(tmp_path / f"view-{number}.db", before.keys.viewing(), pool=past.pool) as view,
        ):
            for again in (restored, view):
                again.sync()
                assert (again.history(), again.balances()) == (before.history(), before.balances())
                assert (again.notes(), again.root) == (before.notes(), before.root)
            assert restored.new_address() not in dict(before.addresses()), "no address is handed out twice"


def test_the_history_names_every_payment_and_a_restore_loses_what_only_the_file_knew(
    past: Past, tmp_path: Path
) -> None:
    addresses = [address for address, _ in past.bob.addresses()]
    (own,) = [address for address, label in past.alice.addresses() if label == "to oneself"]
    fees = [quote.quote.fee for quote, _ in past.via.handed]
    told = [(entry.kind, entry.amount, entry.fee, entry.counterparty) for entry in past.alice.history()[9:]]
    merged = next(entry.amount for entry in past.alice.history() if entry.kind == "merged")
    assert told[:5] == [
        ("sent", 60, 0, addresses[0]),
        ("sent", 50, fees[0], addresses[1]),
        ("sent", 40, fees[1], addresses[2]),
        ("merged", merged, fees[2], ""),
        ("withdrawn", 30, fees[3], RECEIVER),
    ]
    assert sorted(told[5:]) == [("received", 20, 0, "0"), ("sent", 20, 0, own)]
    assert [(entry.kind, entry.amount, entry.text) for entry in past.bob.history()] == [
        ("received", 60, "by its own account"),
        ("received", 50, "by a relayer"),
        ("received", 40, ""),
        ("merged", 150, ""),
    ]
    with Wallet(tmp_path / "operator.db", OPERATOR.viewing(), pool=past.pool) as operator:
        operator.sync()
        assert operator.balance(past.token.address).total == fees[1]

    insert_everything(past.pool)
    kept = past.alice.prepare_send(addresses[0], past.token.address, 1)
    with opened(tmp_path, past.pool, 0) as restored:
        restored.sync()
        assert [label for _, label in past.alice.addresses()] == ["to oneself"]
        assert {label for _, label in restored.addresses()} == {""}
        assert (len(past.alice.payments()), restored.payments()) == (1, [])
        ours, theirs = (wallet.balance(past.token.address) for wallet in (past.alice, restored))
        assert (ours.total, ours.reserved > 0, theirs.reserved) == (theirs.total, True, 0)
    past.alice.abandon(kept)
