"""How `send`, `withdraw` and `consolidate` go: look at the payment, ask, and only then sign, prove and settle it.

Without a relayer the wallet's own EVM account sends the transaction. A relayer's URL is asked for a quote first, and is
handed the proved payment; what it says is checked by `chain.relayer.client` and by the chain.
"""

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from chain.errors import ChainError, NotMinedError, RelayerError
from chain.pool import NOBODY
from chain.relayer.client import RelayerClient
from chain.relayer.quote import Kind, SignedQuote
from wallet import advice, network
from wallet.command import Result
from wallet.errors import PaymentKeptError, RequestError
from wallet.options import AUTO_DELAY, OPENLY, PRIVATELY
from wallet.session import Session
from wallet.spend import PreparedSpend
from wallet.wallet import Wallet

AUTO_DELAY_SECONDS = 3600
LONGEST_DELAY = 86_400


@dataclass(frozen=True)
class Request:
    """What is to be paid. `kind` says the relayer's word for it, once the wallet is up to date; `prepare` takes the
    wallet and the terms of the fee; `warnings` takes the wallet and the EVM account that will pay for gas, None where a
    relayer does.
    """

    what: str
    token: str
    kind: Callable[[Wallet], Kind]
    prepare: Callable[..., PreparedSpend]
    warnings: Callable[[Wallet, str | None], list[str]]


def pay(session: Session, request: Request) -> Result:
    """The JSON result of the payment."""
    options = session.options
    delay = _delay(options.delay)
    payer = None
    if session.relayer_url() is None and not (options.dry_run and options.evm_key_file is None):
        payer = session.evm_account
    with session.open_wallet(payer, proving=True) as wallet, _terms(session, wallet, request) as terms:
        session.sync(wallet)
        terms.settle_fee()
        looked_at = request.prepare(wallet, reserve=False, **terms.given())
        if session.prover.is_remote:
            session.output.warn(advice.REMOTE_PROVER)
            if network.is_readable_on_the_way(options.prover):
                session.output.warn(advice.readable("the prover"))
        for text in request.warnings(wallet, None if payer is None else payer.address):
            session.output.warn(text)
        plan = _plan(looked_at, terms)
        session.output.say(f"{request.what}, fee {plan['fee']}{terms.to_whom()}; takes {plan['notes']} of your notes")
        if options.dry_run:
            return {"dry_run": True} | plan
        session.confirm("go on?")
        if delay:
            seconds = secrets.randbelow(delay + 1)
            session.output.say(f"waiting {seconds} seconds")
            time.sleep(seconds)
        terms.renew()
        spend = request.prepare(wallet, reserve=True, **terms.given())
        session.output.say("proving")
        try:
            proof = wallet.prove(spend)
        except BaseException:
            wallet.abandon(spend)
            raise
        try:
            receipt = wallet.submit(spend, proof, **terms.handed_to())
        except NotMinedError:
            raise  # it may still land: `status` shows it, and its notes stay reserved until its deadline
        except ChainError as error:
            if terms.relayed:
                raise PaymentKeptError(str(error)) from error  # the relayer has it, whatever it answered
            wallet.abandon(spend)
            raise
    session.output.say(f"settled in {receipt.tx_hash}")
    return _plan(spend, terms) | {
        "transaction": receipt.tx_hash,
        "block": receipt.block_number,
        "gas": receipt.gas_used,
    }


class _OwnTerms:
    """The wallet's own account sends the transaction; a fee goes to an address that was named."""

    relayed = False

    def __init__(self, relayer: str, fee: int) -> None:
        self._relayer = relayer
        self._fee = fee

    def settle_fee(self) -> None:
        pass

    def renew(self) -> None:
        pass

    def given(self) -> dict[str, Any]:
        return {"fee": self._fee, "relayer": self._relayer}

    def handed_to(self) -> dict[str, Any]:
        return {}

    def to_whom(self) -> str:
        return "" if self._relayer == NOBODY else f" to {self._relayer}"

    def shown(self) -> Result:
        return {}


class _RelayerTerms:
    """A relayer sends the transaction, for the fee that its quote names."""

    relayed = True

    def __init__(
        self, client: RelayerClient, wallet: Wallet, request: Request, privately: bool, most: int | None
    ) -> None:
        self._client = client
        self._wallet = wallet
        self._request = request
        self._privately = privately
        self._most = most
        self._quote: SignedQuote | None = None

    def settle_fee(self) -> None:
        """Ask for a quote; raises RelayerError for a fee above the most that may be paid."""
        kind: Kind = "transact-note" if self._privately else self._request.kind(self._wallet)
        self._quote = self._client.quote(self._wallet.pool, self._request.token, kind)
        if self._most is not None and self._quote.quote.fee > self._most:
            raise RelayerError(
                f"the relayer {self._client.name} asks for {self._quote.quote.fee}, and {self._most} is the most that "
                "may be paid: ask another relayer, or allow more with --max-fee",
                "too-dear",
            )

    def renew(self) -> None:
        """A fresh quote, since asking and waiting take time; what was agreed to is the most that it may name."""
        agreed = self._agreed()
        self._most = max(agreed.quote.fee, self._most or 0)
        self.settle_fee()

    def given(self) -> dict[str, Any]:
        return {"quote": self._agreed(), "max_fee": self._agreed().quote.fee}

    def handed_to(self) -> dict[str, Any]:
        return {"via": self._client, "quote": self._agreed()}

    def to_whom(self) -> str:
        return f" to the relayer {self._client.name}" + (" with a note" if self._privately else "")

    def shown(self) -> Result:
        return {"relayer_host": self._client.name, "kind": self._agreed().quote.kind}

    def _agreed(self) -> SignedQuote:
        assert self._quote is not None
        return self._quote


@contextlib.contextmanager
def _terms(session: Session, wallet: Wallet, request: Request) -> Iterator[_OwnTerms | _RelayerTerms]:
    options = session.options
    if options.pay_relayer not in (OPENLY, PRIVATELY):
        raise RequestError(f"a relayer is paid {OPENLY} or {PRIVATELY}")
    if session.relayer_url() is None:
        if options.pay_relayer == PRIVATELY or options.max_fee is not None:
            raise RequestError("--pay-relayer privately and --max-fee are for a relayer that is named by its URL")
        yield _OwnTerms(options.relayer or NOBODY, session.amount(options.fee or "0"))
        return
    if options.fee is not None:
        raise RequestError("a relayer named by its URL says itself what it wants: give --max-fee, not --fee")
    if options.yes and options.max_fee is None and not options.dry_run:
        raise RequestError("a relayer may ask for any fee: with --yes give --max-fee too")
    most = None if options.max_fee is None else session.amount(options.max_fee)
    with session.relayer() as client:
        yield _RelayerTerms(client, wallet, request, options.pay_relayer == PRIVATELY, most)


def _plan(spend: PreparedSpend, terms: _OwnTerms | _RelayerTerms) -> Result:
    public, bound = spend.witness.public, spend.terms
    return {
        "notes": len(spend.reserved),
        "public_amount": str(public.public_amount),
        "receiver": None if bound.receiver == NOBODY else bound.receiver,
        "fee": str(spend.fee),
        "relayer": None if bound.relayer == NOBODY else bound.relayer,
        "deadline": bound.deadline,
    } | terms.shown()


def _delay(text: str) -> int:
    """The longest time to wait, in seconds."""
    if text == AUTO_DELAY:
        return AUTO_DELAY_SECONDS
    if not text.isascii() or not text.isdigit() or len(text) > 6 or int(text) > LONGEST_DELAY:
        raise RequestError(f"--delay is a number of seconds up to {LONGEST_DELAY}, or {AUTO_DELAY}")
    return int(text)
