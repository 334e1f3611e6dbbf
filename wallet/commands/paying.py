"""`gelap wallet`: moving money."""

import contextlib
import time
from typing import Annotated

import typer

from chain.proving import spend_circuit
from chain.relayer.quote import Kind
from chain.sequencer import Outcome, insert_pending
from chain.state import PoolState
from wallet import advice
from wallet.command import Result, register
from wallet.commands.spending import Request, pay
from wallet.errors import RequestError
from wallet.options import AMOUNT, CHAIN, PAYER, PAYMENT, PRIVATELY, PROVER, RELAYER, SPEND
from wallet.payment_file import PaymentRequest, read_payment
from wallet.session import GrowingHash, Session
from wallet.wallet import Wallet

Token = Annotated[str, typer.Argument(help="The ERC-20 token's address.")]
Amount = Annotated[str, typer.Argument(help="In the token's smallest unit; see --decimals.")]
# With --payment-file none of them is given.
OtherToken = Annotated[str | None, typer.Argument(help="The ERC-20 token's address.", show_default=False)]
OtherAmount = Annotated[
    str | None, typer.Argument(help="In the token's smallest unit; see --decimals.", show_default=False)
]


@register("deposit", CHAIN, PAYER, AMOUNT)
def deposit(
    session: Session,
    token: Token,
    amount: Amount,
    permit: Annotated[bool, typer.Option("--permit", help="Sign an EIP-2612 permit instead of an approval.")] = False,
) -> Result:
    """Move tokens of the EVM account into the pool. Account, token and amount are public."""
    value = session.amount(amount)
    if value > 0:
        for text in advice.for_deposit(value):
            session.output.warn(text)
    with session.open_wallet(session.evm_account, reading=False) as wallet:
        held = wallet.pool.token(token).balance_of(session.evm_account.address)
        plan = {"token": token, "amount": str(value), "from": session.evm_account.address, "held": str(held)}
        if session.options.dry_run:
            return {"dry_run": True} | plan
        session.confirm(f"deposit {value} of {token} from {session.evm_account.address}?")
        receipt = wallet.deposit(token, value, permit=permit)
    session.output.say(f"deposited in {receipt.tx_hash}; spendable after the next tree update")
    return plan | {"transaction": receipt.tx_hash, "block": receipt.block_number, "gas": receipt.gas_used}


@register("send", CHAIN, PROVER, PAYER, AMOUNT, SPEND, PAYMENT)
def send(
    session: Session,
    recipient: Annotated[str | None, typer.Argument(help="A Gelap address.", show_default=False)] = None,
    token: OtherToken = None,
    amount: OtherAmount = None,
    text: Annotated[str, typer.Option(help="For the recipient only, 90 bytes of UTF-8 at most.")] = "",
) -> Result:
    """Pay privately: nobody else sees who pays whom, what, or how much."""
    asked = _payment(session, recipient, token, amount, text)
    value = session.amount(asked.amount)
    return pay(
        session,
        Request(
            what=f"send {value} of {asked.token} to {asked.to}",
            token=asked.token,
            kind=lambda wallet: "transact",
            prepare=lambda wallet, **terms: wallet.prepare_send(asked.to, asked.token, value, text=asked.text, **terms),
            warnings=lambda wallet, payer: advice.for_payment(wallet.history(), asked.to, payer),
        ),
    )


@register("withdraw", CHAIN, PROVER, PAYER, AMOUNT, SPEND, PAYMENT)
def withdraw(
    session: Session,
    receiver: Annotated[
        str | None, typer.Argument(help="An EVM address; a fresh one is best.", show_default=False)
    ] = None,
    token: OtherToken = None,
    amount: OtherAmount = None,
) -> Result:
    """Pay out to an EVM address: receiver, token and amount are public."""
    if session.options.pay_relayer == PRIVATELY:
        raise RequestError("a withdrawal is public, and so is its fee: --pay-relayer privately is for payments")
    asked = _payment(session, receiver, token, amount, "")
    if asked.text:
        raise RequestError("a withdrawal has no text: nobody could read it")
    value = session.amount(asked.amount)
    return pay(
        session,
        Request(
            what=f"withdraw {value} of {asked.token} to {asked.to}",
            token=asked.token,
            kind=lambda wallet: "withdraw",
            prepare=lambda wallet, **terms: wallet.prepare_withdraw(asked.to, asked.token, value, **terms),
            warnings=lambda wallet, payer: (
                advice.for_withdrawal(wallet.history(), asked.token, value, asked.to, payer, int(time.time()))
                if value > 0
                else []
            ),
        ),
    )


@register("consolidate", CHAIN, PROVER, PAYER, AMOUNT, SPEND)
def consolidate(
    session: Session,
    token: Token,
    most: Annotated[
        int | None,
        typer.Option(min=2, max=8, help="Merge so many notes at most; 2 looks like a payment.", show_default=False),
    ] = None,
) -> Result:
    """Merge the largest notes of a token into one, so that larger payments become possible: eight where pool and
    prover have the key for it, else two.
    """
    return pay(
        session,
        Request(
            what=f"merge the largest notes of {token}",
            token=token,
            kind=lambda wallet: _merging_kind(wallet, token, most),
            prepare=lambda wallet, **terms: wallet.prepare_consolidate(token, most=most, **terms),
            warnings=lambda wallet, payer: advice.for_payment([], "", payer),
        ),
    )


@register("resume", CHAIN, PAYER, RELAYER)
def resume(session: Session) -> Result:
    """Send the proved payments again that were not seen settled. Each can settle only once.

    With a relayer's URL those that were for it go to it again; without, your own account sends all of them.
    """
    relayed = session.relayer_url() is not None
    account = None if relayed or session.options.dry_run else session.evm_account
    with contextlib.ExitStack() as opened:
        wallet = opened.enter_context(session.open_wallet(account))
        session.sync(wallet)
        waiting = [payment for payment in wallet.payments() if payment.call is not None]
        if session.options.dry_run or not waiting:
            session.output.say(f"{len(waiting)} payments to send again")
            return {"payments": [], "waiting": len(waiting)}
        session.confirm(f"send {len(waiting)} payments again?")
        done = wallet.resume(via=opened.enter_context(session.relayer()) if relayed else None)
    for resumed in done:
        outcome = resumed.problem if resumed.receipt is None else f"settled in {resumed.receipt.tx_hash}"
        session.output.say(f"{resumed.payment.kind} {resumed.payment.amount}: {outcome}")
    return {
        "payments": [
            {
                "kind": resumed.payment.kind,
                "amount": str(resumed.payment.amount),
                "transaction": None if resumed.receipt is None else resumed.receipt.tx_hash,
                "problem": resumed.problem,
            }
            for resumed in done
        ],
        "waiting": len(waiting),
    }


@register("insert", CHAIN, PROVER, PAYER)
def insert(session: Session) -> Result:
    """Move waiting notes into the tree, everybody's alike, if the pool allows a batch now. Anyone may."""
    if session.prover.is_remote:
        session.output.say("a tree update holds nothing private: the remote prover learns nothing that is not public")
    pool = session.open_pool(session.evm_account)
    state = PoolState(pool, GrowingHash())
    if session.options.dry_run:
        return {"dry_run": True, "pending": len(state.sync().pending)}
    session.confirm(f"insert what waits, {session.evm_account.address} pays for gas?")
    done = insert_pending(pool, state, session.prover)
    words = {
        Outcome.INSERTED: f"inserted {done.count} notes",
        Outcome.NOTHING_PENDING: "nothing waits",
        Outcome.TOO_EARLY: f"fewer than 64 notes wait: the pool takes them in {done.wait_seconds} seconds",
        Outcome.OVERTAKEN: "another batch came first",
    }
    session.output.say(words[done.outcome])
    return {
        "outcome": done.outcome.value,
        "count": done.count,
        "wait_seconds": done.wait_seconds,
        "transaction": None if done.receipt is None else done.receipt.tx_hash,
    }


def _merging_kind(wallet: Wallet, token: str, most: int | None) -> Kind:
    """A relayer's quote covers the gas of its kind: a merge of more than two notes takes more of it."""
    merge = wallet.prepare_consolidate(token, most=most, reserve=False)
    return "consolidate" if merge.circuit == spend_circuit(8, 2) else "transact"


def _payment(session: Session, to: str | None, token: str | None, amount: str | None, text: str) -> PaymentRequest:
    """As --payment-file says, or the arguments."""
    source = session.options.payment_file
    if source is not None:
        if to is not None or text:
            raise RequestError("give the payment as arguments or as --payment-file, not both")
        return read_payment(session.ask.document(source, "payment"))
    if to is None or token is None or amount is None:
        raise RequestError("to whom, which token, how much? Give three arguments, or --payment-file")
    return PaymentRequest(to, token, amount, text)
