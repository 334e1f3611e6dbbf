"""The mnemonic and the chain bring back balances and history, of every kind of payment; and what they do not."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from eth_account.signers.local import LocalAccount
from web3 import Web3

from chain.pool import Pool
from chain.relayer.note_fees import NoteFees
from chain.token import Token
from protocol.keys import Account
from tests.service.chain.relayed_wallets import OPERATOR, Direct, ProverOfAll, pool_of_all
from tests.service.chain.relaying import RECEIVER, make_relayer
from wallet import relaying
from wallet.wallet import Wallet


@pytest.fixture
def pool(w3: Web3, evm_accounts: list[LocalAccount]) -> Pool:
    return pool_of_all(w3, evm_accounts[0])


@pytest.fixture
def prover() -> ProverOfAll:
    return ProverOfAll()


@pytest.fixture
def via(pool: Pool, token: Token, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Direct]:
    monkeypatch.setattr(relaying, "POLL_SECONDS", 0.05)
    relayer = make_relayer(pool, token, tmp_path, note_fees=NoteFees.of(OPERATOR.viewing()))
    yield Direct(relayer)
    relayer._journal.close()


@pytest.fixture
def spent_well(
    open_wallet: Callable[..., Wallet], token: Token, insert_all: Callable[[], None], via: Direct
) -> tuple[Wallet, Wallet]:
    """Two wallets after deposits, payments paid for in every way, merges of two sizes and a withdrawal."""
    alice, bob = open_wallet(0), open_wallet(1)

    def settled() -> None:
        insert_all()
        alice.sync()
        bob.sync()

    for _ in range(9):
        alice.deposit(token.address, 100)
    settled()
    relayed = {"via": via, "max_fee": 200}
    alice.send(bob.new_address("openly"), token.address, 60, text="by its own account")
    settled()
    alice.send(bob.new_address("relayed"), token.address, 50, text="by a relayer", **relayed)  # type: ignore[arg-type]
    settled()
    alice.send(bob.new_address("privately"), token.address, 40, private_fee=True, **relayed)  # type: ignore[arg-type]
    settled()
    alice.consolidate(token.address, **relayed)  # type: ignore[arg-type]
    settled()
    alice.withdraw(RECEIVER, token.address, 30, **relayed)  # type: ignore[arg-type]
    bob.consolidate(token.address)
    settled()
    alice.send(alice.new_address("to oneself"), token.address, 20)
    alice.sync()
    bob.sync()
    return alice, bob


def test_balances_and_history_are_the_same_after_a_restore_and_with_a_viewing_key(
    spent_well: tuple[Wallet, Wallet], open_wallet: Callable[..., Wallet], token: Token, pool: Pool, tmp_path: Path
) -> None:
    for number, before in enumerate(spent_well):
        restored = open_wallet(number, f"restored-{number}.db")
        restored.sync()
        assert (restored.history(), restored.balances()) == (before.history(), before.balances())
        assert (restored.notes(), restored.root) == (before.notes(), before.root)
        assert restored.new_address() == before.new_address(), "no address is handed out twice"
        assert isinstance(before.keys, Account)
        with Wallet(tmp_path / f"view-{number}.db", before.keys.viewing(), pool=pool) as view:
            view.sync()
            assert (view.history(), view.balances()) == (before.history(), before.balances())
    assert spent_well[0].balance(token.address).pending > 0


def test_the_history_names_every_payment_and_a_restore_loses_what_only_the_file_knew(
    spent_well: tuple[Wallet, Wallet],
    via: Direct,
    token: Token,
    pool: Pool,
    tmp_path: Path,
    open_wallet: Callable[..., Wallet],
    insert_all: Callable[[], None],
) -> None:
    alice, bob = spent_well
    addresses = [address for address, _ in bob.addresses()]
    (own,) = [address for address, label in alice.addresses() if label == "to oneself"]
    fees = [quote.quote.fee for quote, _ in via.handed]
    told = [(entry.kind, entry.amount, entry.fee, entry.counterparty) for entry in alice.history()[9:]]
    merged = next(entry.amount for entry in alice.history() if entry.kind == "merged")
    assert told[:5] == [
        ("sent", 60, 0, addresses[0]),
        ("sent", 50, fees[0], addresses[1]),
        ("sent", 40, fees[1], addresses[2]),
        ("merged", merged, fees[2], ""),
        ("withdrawn", 30, fees[3], RECEIVER),
    ]
    assert sorted(told[5:]) == [("received", 20, 0, "0"), ("sent", 20, 0, own)]
    assert [(entry.kind, entry.amount, entry.text) for entry in bob.history()] == [
        ("received", 60, "by its own account"),
        ("received", 50, "by a relayer"),
        ("received", 40, ""),
        ("merged", 150, ""),
    ]
    with Wallet(tmp_path / "operator.db", OPERATOR.viewing(), pool=pool) as operator:
        operator.sync()
        assert operator.balance(token.address).total == fees[1]

    insert_all()
    alice.prepare_send(addresses[0], token.address, 1)
    restored = open_wallet(0, "restored.db")
    restored.sync()
    assert [label for _, label in alice.addresses()] == ["to oneself"]
    assert {label for _, label in restored.addresses()} == {""}
    assert (len(alice.payments()), restored.payments()) == (1, [])
    assert restored.balance(token.address).total == alice.balance(token.address).total
    assert restored.balance(token.address).reserved == 0
