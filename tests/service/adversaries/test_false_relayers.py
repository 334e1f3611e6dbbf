"""Relayers that lie about prices, keep a payment, send it late, twice or changed, or answer without end."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount

from chain.errors import RelayerError, RevertedError
from chain.pool import Pool, Spend
from chain.relayer.client import RelayerClient
from chain.relayer.quote import Quote, SignedQuote
from chain.relayer.wire import QuoteModel, SubmitModel
from chain.token import Token
from wallet.wallet import Balance, Wallet

RECEIVER = "0x00000000000000000000000000000000000000AE"
THIEF = "0x00000000000000000000000000000000000000aF"


@dataclass
class Hostile:
    """What a relayer says and does. An answer that is bytes is sent as it is, without end where `endless` says so."""

    account: LocalAccount
    pool: Pool
    fee: int = 5
    bend: Callable[[Quote], Quote] = lambda quote: quote
    state: str = "pending"
    kept: list[Spend] = field(default_factory=list)
    answer: bytes | None = None
    endless: bool = False

    def quote(self, token: str, kind: str) -> SignedQuote:
        expiry = self.pool.now() + 120
        honest = Quote(self.pool.chain_id, self.pool.address, self.account.address, token, kind, self.fee, expiry)  # type: ignore[arg-type]
        return self.bend(honest).signed(self.account)

    def submitted(self) -> dict[str, Any]:
        return {"id": "ab" * 32, "state": self.state, "transaction": "0x" + "cd" * 32, "detail": ""}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hostile: Hostile) -> None:
        self.hostile = hostile
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        hostile = self.server.hostile
        if self.path.startswith("/v1/quote"):
            token, kind = (part.split("=")[1] for part in self.path.split("?")[1].split("&"))
            self._answer(QuoteModel.of(hostile.quote(token, kind)).model_dump())
        else:
            self._answer(hostile.submitted())

    def do_POST(self) -> None:
        hostile = self.server.hostile
        body = self.rfile.read(int(self.headers["Content-Length"]))
        hostile.kept.append(SubmitModel.model_validate_json(body).spend.spend())
        self._answer(hostile.submitted())

    def _answer(self, document: dict[str, Any]) -> None:
        hostile = self.server.hostile
        self.send_response(200)
        self.end_headers()
        try:
            self.wfile.write(json.dumps(document).encode() if hostile.answer is None else hostile.answer)
            while hostile.endless:
                self.wfile.write(b" " * (1 << 16))
        except OSError:
            pass  # whoever asked has had enough

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def hostile(evm_accounts: list[LocalAccount], pool: Pool) -> Hostile:
    return Hostile(evm_accounts[2], Pool(pool.w3, pool.address, evm_accounts[2]))


@pytest.fixture
def client(hostile: Hostile) -> Iterator[RelayerClient]:
    server = _Server(hostile)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with RelayerClient(f"http://127.0.0.1:{server.server_port}", timeout=60.0) as made:
            yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def handed_over(wallet: Wallet, client: RelayerClient, token: Token) -> Spend:
    """A withdrawal of 20 for the fee that was quoted, in the relayer's hands; the wallet counts it as under way."""
    quote = client.quote(wallet.pool, token.address, "withdraw")
    spend = wallet.prepare_withdraw(RECEIVER, token.address, 20, fee=quote.quote.fee, relayer=quote.quote.relayer)
    call = spend.call(wallet.prove(spend).proof)
    client.submit(quote, call)
    return call


LIES: list[dict[str, Any]] = [
    {"chain_id": 1},
    {"pool": THIEF},
    {"token": THIEF},
    {"kind": "transact"},
    {"relayer": THIEF},
    {"expiry": 1},
]


def test_a_quote_that_cannot_be_meant_is_refused(
    pool: Pool, hostile: Hostile, client: RelayerClient, token: Token
) -> None:
    """For another chain, pool, token or kind, in somebody else's name, or over."""
    for lie in LIES:
        hostile.bend = lambda quote, lie=lie: replace(quote, **lie)  # type: ignore[misc]
        with pytest.raises(RelayerError) as error:
            client.quote(pool, token.address, "withdraw")
        assert error.value.code in ("lying", "bad-quote", "expired")


def test_a_relayer_that_sends_nothing_does_not_hold_the_payment(
    rich: Wallet, hostile: Hostile, client: RelayerClient, token: Token
) -> None:
    """Attack row 24: the owner broadcasts it, and the fee still goes to the relayer, since the proof says so."""
    held, paid = token.balance_of(RECEIVER), token.balance_of(hostile.account.address)
    call = handed_over(rich, client, token)
    with pytest.raises(RelayerError, match="broadcast it yourself"):
        client.wait("ab" * 32, timeout=0.1, poll=0.05)
    rich.pool.withdraw(call)
    assert token.balance_of(RECEIVER) - held == 20
    assert token.balance_of(hostile.account.address) - paid == hostile.fee
    rich.sync()
    assert rich.payments() == []


@pytest.mark.slow
def test_a_relayer_that_settles_what_it_refused_changes_nothing(
    rich: Wallet, hostile: Hostile, client: RelayerClient, token: Token
) -> None:
    """It has the payment with its proof and its memos: until the deadline it is a bearer's, and still its owner's."""
    hostile.state = "failed"
    held = token.balance_of(RECEIVER)
    call = handed_over(rich, client, token)
    assert client.wait("ab" * 32).state == "failed"
    hostile.pool.withdraw(hostile.kept[-1])
    assert token.balance_of(RECEIVER) - held == 20
    with pytest.raises(RevertedError, match="NullifierAlreadyUsed"):
        rich.pool.withdraw(call)
    rich.sync()
    assert rich.payments() == []


def test_a_relayer_that_says_settled_has_settled_nothing(
    rich: Wallet, hostile: Hostile, client: RelayerClient, token: Token
) -> None:
    """A payment leaves the list when a block has it, not when somebody says so."""
    hostile.state = "settled"
    handed_over(rich, client, token)
    assert client.wait("ab" * 32).state == "settled"
    rich.sync()
    assert len(rich.payments()) == 1
    assert rich.balance(token.address).reserved > 0


@pytest.mark.slow
def test_a_relayer_that_comes_after_the_deadline_comes_too_late(
    rich: Wallet, hostile: Hostile, client: RelayerClient, token: Token, pass_time: Callable[[int], None]
) -> None:
    """And the notes are there again: the deadline that is signed is the end of the relayer's power."""
    call = handed_over(rich, client, token)
    pass_time(20 * 60 + 1)
    with pytest.raises(RevertedError, match="Expired"):
        hostile.pool.withdraw(call)
    rich.sync()
    assert rich.balance(token.address) == Balance(160)


@pytest.mark.slow
def test_a_relayer_that_sends_twice_pays_for_it_alone(
    rich: Wallet, hostile: Hostile, client: RelayerClient, token: Token
) -> None:
    held = token.balance_of(RECEIVER)
    call = handed_over(rich, client, token)
    hostile.pool.withdraw(call)
    with pytest.raises(RevertedError, match="NullifierAlreadyUsed"):
        hostile.pool.withdraw(replace(call, proof=bytes(256)))
    assert token.balance_of(RECEIVER) - held == 20


def test_garbage_from_a_relayer_is_one_clear_error(
    pool: Pool, hostile: Hostile, client: RelayerClient, token: Token
) -> None:
    for answer in (b"", b"[]", b'{"fee": 1}', b"<html>", b"\xff\xfe", b"[" * 60_000):
        hostile.answer = answer
        with pytest.raises(RelayerError):
            client.quote(pool, token.address, "withdraw")


def test_an_answer_without_end_is_not_read_to_its_end(
    pool: Pool, hostile: Hostile, client: RelayerClient, token: Token
) -> None:
    """Neither into memory nor for ever."""
    hostile.endless = True
    with pytest.raises(RelayerError, match="too long"):
        client.quote(pool, token.address, "withdraw")


@pytest.mark.slow
def test_fees_of_quotes_are_what_the_owner_signs_and_nothing_else(
    rich: Wallet, hostile: Hostile, client: RelayerClient, token: Token
) -> None:
    """A fee raised after the quote, with the proof for the one before, is refused by the pool before anything is sent;
    see Payment.t.sol and test_payment_end_to_end.py for the proof. Here: nothing in a quote reaches the terms but fee
    and relayer.
    """
    hostile.bend = lambda quote: replace(quote, expiry=quote.expiry + 10**6)
    call = handed_over(rich, client, token)
    assert (call.fee, call.relayer) == (hostile.fee, hostile.account.address)
    assert call.deadline <= rich.pool.now() + 20 * 60
    assert call.receiver == RECEIVER
