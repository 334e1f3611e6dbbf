"""Indexers that leave out, make up, or never stop, between the real pool and a wallet that reads from them.

More lies, each noticed before anything is written down, are in tests/unit/wallet/test_event_sources.py; streams that
break off, drip or say nonsense in tests/unit/chain/test_indexer_source.py.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain.errors import MismatchError, RevertedError
from chain.events import CommitmentQueued, EventPage, NullifierUsed
from chain.pool import Pool
from chain.token import Token
from protocol.memo import encrypt
from wallet import following, spot_checks
from wallet.spend import payment
from wallet.wallet import Balance, Wallet

After = tuple[int, str] | None


class FalseIndexer:
    """Serves the pool's events, a page for each block, as `bend` changes them."""

    def __init__(self, pool: Pool, bend: Callable[[Iterator[EventPage]], Iterator[EventPage]]) -> None:
        self.pool = pool
        self.bend = bend
        self.served = 0

    def pages(self, after: After = None) -> Iterator[EventPage]:
        first = self.pool.deployed_at if after is None else after[0] + 1
        for page in self.bend(self._blocks(first)):
            self.served += 1
            yield page

    def _blocks(self, first: int) -> Iterator[EventPage]:
        events = list(self.pool.events(first))
        for number in range(first, self.pool.block_number() + 1):
            block_hash = self.pool.block_hash(number) or ""
            yield EventPage(
                number, number, block_hash, tuple(each for each in events if each.origin.block_number == number)
            )


def read_by(wallet: Wallet, source: FalseIndexer, path: Path) -> Wallet:
    return Wallet(path, wallet.keys, pool=wallet.pool, prover=wallet._prover, source=source)


@pytest.mark.slow
def test_an_indexer_that_hides_a_spend_gets_a_payment_refused_and_nothing_else(
    rich: Wallet, token: Token, insert_all: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No root and no count has nullifiers in it; only what came after the last tree update is compared with the node,
    and what is drawn of the rest: here nothing. The wallet offers a spent note, and the contract refuses it before
    anything is paid.
    """
    monkeypatch.setattr(spot_checks, "drawn", lambda portion: [])
    address = rich.new_address()
    rich.send(address, token.address, 60)
    insert_all()

    def hide(pages: Iterator[EventPage]) -> Iterator[EventPage]:
        for page in pages:
            yield replace(page, events=tuple(each for each in page.events if not isinstance(each, NullifierUsed)))

    payer = rich.pool.account.address  # type: ignore[union-attr]
    with read_by(rich, FalseIndexer(rich.pool, hide), tmp_path / "hidden.db") as wallet:
        wallet.sync()
        assert wallet.balance(token.address).spendable == 220
        before = wallet.pool.w3.eth.get_balance(payer)
        with pytest.raises(RevertedError, match="NullifierAlreadyUsed"):
            wallet.send(address, token.address, 60)
        assert wallet.pool.w3.eth.get_balance(payer) == before


def test_an_indexer_that_never_stops_is_read_up_to_the_nodes_newest_block(
    rich: Wallet, token: Token, tmp_path: Path
) -> None:
    """Page after page of blocks that are not there yet."""

    def go_on(pages: Iterator[EventPage]) -> Iterator[EventPage]:
        last = rich.pool.deployed_at
        for page in pages:
            last = page.last_block
            yield page
        for number in itertools.count(last + 1):
            assert number < last + 100, "read on and on"
            yield EventPage(number, number, "0x" + "ab" * 32, ())

    source = FalseIndexer(rich.pool, go_on)
    with read_by(rich, source, tmp_path / "endless.db") as wallet:
        wallet.sync()
        assert wallet.balance(token.address) == Balance(160)
        assert source.served <= wallet.pool.block_number() - wallet.pool.deployed_at + 2


@pytest.mark.parametrize("portion", [1, pytest.param(8_192, marks=pytest.mark.slow)])
def test_money_that_an_indexer_made_up_is_never_shown(
    rich: Wallet, token: Token, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, portion: int
) -> None:
    """A note of a million to the victim, waiting in the queue, where no root says anything of it yet.

    With portions of one event, a lie that was taken over before the end would still be there after it was noticed: the
    root after it is an honest one.
    """
    monkeypatch.setattr(following, "PORTION_EVENTS", portion)
    forged = payment(rich.keys.address(0), int(token.address, 16), 10**6)
    memo = encrypt(forged.note, forged.address)

    def make_up(pages: Iterator[EventPage]) -> Iterator[EventPage]:
        """After the last commitment and before the tree update that takes the honest ones."""
        for page in pages:
            queued = [each for each in page.events if isinstance(each, CommitmentQueued)]
            if queued and queued[-1].position == 1:
                (last,) = queued
                origin = replace(last.origin, log_index=last.origin.log_index + 1, transaction_hash="0x" + "ab" * 32)
                more = CommitmentQueued(2, forged.note.commitment, memo, origin)
                page = replace(page, events=(*page.events, more))
            yield page

    with read_by(rich, FalseIndexer(rich.pool, make_up), tmp_path / "made-up.db") as wallet:
        for _ in range(2):
            with pytest.raises(MismatchError):
                wallet.sync()
            assert wallet.balance(token.address).total < 10**6
            assert "received" not in {entry.kind for entry in wallet.history()}
