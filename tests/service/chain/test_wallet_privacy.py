"""What a chain node learns from the questions of a wallet: nothing that depends on which notes are its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from web3 import Web3
from web3.middleware import Web3Middleware
from web3.types import RPCEndpoint

from chain.pool import Pool
from chain.rpc import connect
from chain.token import Token
from wallet.wallet import Balance, Wallet

Question = tuple[str, str]


class Eavesdropper(Web3Middleware):
    """Keeps every request, and answers like a node that sends no block times along with logs."""

    heard: list[Question]

    def request_processor(self, method: RPCEndpoint, params: Any) -> Any:
        self.heard.append((method, repr(params)))
        return method, params

    def response_processor(self, method: RPCEndpoint, response: Any) -> Any:
        if method == "eth_getLogs":
            for log in response.get("result", []):
                log.pop("blockTimestamp", None)
        return response


def overheard(url: str) -> tuple[Web3, list[Question]]:
    heard: list[Question] = []
    w3 = connect(url)
    w3.middleware_onion.inject(type("Listener", (Eavesdropper,), {"heard": heard}), layer=0)
    return w3, heard


def test_reading_the_chain_asks_the_same_whoever_owns_the_notes(
    open_wallet: Callable[..., Wallet],
    pool: Pool,
    token: Token,
    insert_all: Callable[[], None],
    tmp_path: Path,
) -> None:
    """Attack row 21: neither blocks, nor events, nor paths are asked for because a note of ours is there."""
    owner, stranger = open_wallet(0), open_wallet(1)
    for amount in (5, 6):
        owner.deposit(token.address, amount)
        insert_all()

    def questions(number: int, wallet: Wallet) -> tuple[Balance, list[Question]]:
        w3, heard = overheard(pool.w3.provider.endpoint_uri)  # type: ignore[attr-defined]
        seen = Pool(w3, pool.address, deployed_at=pool.deployed_at)
        with Wallet(tmp_path / f"reader-{number}.db", wallet.keys, pool=seen) as reader:
            reader.sync()
            return reader.balance(token.address), heard

    (of_owner, asked), (of_stranger, asked_too) = (questions(*item) for item in enumerate((owner, stranger)))
    assert (of_owner, of_stranger) == (Balance(11), Balance())
    assert asked == asked_too
    assert "eth_getLogs" in {method for method, _ in asked}


def test_choosing_notes_and_building_a_payment_asks_nothing_more_than_reading_does(
    open_wallet: Callable[..., Wallet],
    pool: Pool,
    token: Token,
    insert_all: Callable[[], None],
    tmp_path: Path,
) -> None:
    """Attack row 21: the paths of the notes that are spent come from the wallet's own tree."""
    owner = open_wallet(0)
    owner.deposit(token.address, 5)
    insert_all()
    w3, heard = overheard(pool.w3.provider.endpoint_uri)  # type: ignore[attr-defined]
    seen = Pool(w3, pool.address, deployed_at=pool.deployed_at)
    with Wallet(tmp_path / "reader.db", owner.keys, pool=seen) as reader:
        reader.sync()
        heard.clear()
        reader.sync()
        reading = list(heard)
        heard.clear()
        spend = reader.prepare_send(reader.new_address(), token.address, 2)
    assert spend.witness.public.root == pool.merkle_root()
    assert set(heard) == set(reading)
