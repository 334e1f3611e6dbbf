"""`gelap wallet`: what the account has, had and does."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from chain.errors import RelayerError
from chain.http import host_of
from wallet.command import Result, register
from wallet.options import CHAIN, RELAYER
from wallet.session import Session
from wallet.wallet import Balance, Wallet


@register("address", CHAIN)
def address(
    session: Session,
    label: Annotated[str, typer.Option(help="Who gets it; stays in the wallet's file.")] = "",
    show: Annotated[bool, typer.Option("--list", help="Those issued before, instead of a fresh one.")] = False,
) -> Result:
    """A fresh address: give every payer another one, and they cannot tell that both are yours."""
    with session.open_wallet(reading=False) as wallet:
        if show:
            issued = wallet.addresses()
            session.output.table(("address", "label"), issued)
            return {"addresses": [{"address": text, "label": label} for text, label in issued]}
        fresh = wallet.new_address(label)
    session.output.value(fresh)
    return {"address": fresh}


@register("balance", CHAIN)
def balance(session: Session) -> Result:
    """What the account owns, by token; says why something cannot be spent yet."""
    with session.open_wallet() as wallet:
        head = session.sync(wallet)
        balances = wallet.balances()
        rows = [(token, str(b.spendable), str(b.pending), str(b.reserved)) for token, b in balances.items()]
        session.output.table(("token", "spendable", "not in the tree yet", "in unfinished payments"), rows)
        reasons = _why_not_spendable(wallet, list(balances.values()))
    for reason in reasons:
        session.output.say(reason)
    shown = {
        token: {name: str(value) for name, value in asdict(b).items()} | {"total": str(b.total)}
        for token, b in balances.items()
    }
    return {"block": head, "tokens": shown, "not_spendable_yet": reasons}


@register("history", CHAIN)
def history(session: Session) -> Result:
    """What happened, oldest first. Texts of received payments are their senders' words."""
    with session.open_wallet() as wallet:
        head = session.sync(wallet)
        entries = wallet.history()
    rows = [
        (
            _time(entry.timestamp),
            entry.kind,
            str(entry.amount),
            str(entry.fee),
            entry.token,
            entry.counterparty,
            entry.text,
        )
        for entry in entries
    ]
    session.output.table(("time (UTC)", "what", "amount", "fee", "token", "with", "text"), rows)
    documents = [asdict(entry) | {"amount": str(entry.amount), "fee": str(entry.fee)} for entry in entries]
    return {"block": head, "history": documents}


@register("notes", CHAIN)
def notes(
    session: Session,
    spent: Annotated[bool, typer.Option("--spent", help="Spent ones and those of amount 0 too.")] = False,
) -> Result:
    """The account's notes, and the state of each."""
    with session.open_wallet() as wallet:
        head = session.sync(wallet)
        found = []
        for stored in wallet.notes():
            state = "spendable"
            if stored.spent_transaction is not None:
                state = "spent"
            elif stored.leaf_index is None:
                state = "not in the tree yet"
            elif stored.reserved:
                state = "in an unfinished payment"
            if spent or (state != "spent" and stored.note.amount):
                token = "0x" + stored.note.token.to_bytes(20, "big").hex()
                found.append(
                    {
                        "position": stored.position,
                        "leaf_index": stored.leaf_index,
                        "token": token,
                        "amount": str(stored.note.amount),
                        "state": state,
                    }
                )
    session.output.table(
        ("position", "leaf", "token", "amount", "state"), [[str(v) for v in row.values()] for row in found]
    )
    return {"block": head, "notes": found}


@register("sync", CHAIN)
def sync(session: Session) -> Result:
    """Read what is new on the chain. Can be interrupted; goes on where it was."""
    with session.open_wallet() as wallet:
        head = session.sync(wallet)
        session.output.say(f"read up to block {head}; the tree has the contract's root {wallet.root:#066x}")
        return {"block": head, "root": hex(wallet.root)}


@register("status", CHAIN, RELAYER)
def status(session: Session) -> Result:
    """The wallet, its chain, its payments on their way, and the services it uses."""
    with session.open_wallet() as wallet:
        newest = wallet.pool.block_number()
        head = session.sync(wallet)
        on_their_way = [
            {
                "kind": payment.kind,
                "token": payment.token,
                "amount": str(payment.amount),
                "fee": str(payment.fee),
                "to": payment.counterparty,
                "stage": payment.stage,
                "deadline": payment.deadline,
                "relayer_host": None if payment.handover is None else payment.handover.name,
            }
            for payment in wallet.payments()
        ]
        pending = wallet.pool.pending_count()
        entry = session.entry()
        indexer = _indexer(session, wallet)
        relayer = _relayer(session, wallet)
    view_only = session.secrets.mnemonic is None
    say = session.output.say
    say(f"wallet {session.options.folder}{', view only' if view_only else ''}; pool {entry.pool} on {entry.name}")
    say(f"read up to block {head} of {newest}; {pending} notes of everybody's wait for the next tree update")
    if indexer is not None:
        say(f"indexer {indexer['host']}: {indexer['blocks_behind']} blocks behind the node")
    if relayer is not None:
        say(f"relayer {relayer['host']}: {_terms_in_words(relayer)}")
    rows = [[str(row[name]) for name in ("kind", "amount", "token", "to", "stage")] for row in on_their_way]
    if rows:
        session.output.table(("payment", "amount", "token", "to", "stage"), rows)
        say("`gelap wallet resume` sends proved ones again; the notes of the others come back after their deadline")
    return {
        "wallet": str(session.options.folder),
        "view_only": view_only,
        "chain": asdict(entry),
        "block": head,
        "newest_block": newest,
        "pending_in_pool": pending,
        "indexer": indexer,
        "relayer": relayer,
        "payments": on_their_way,
    }


def _indexer(session: Session, wallet: Wallet) -> Result | None:
    if session.options.indexer is None:
        return None
    lag = wallet.lag()
    return {"host": host_of(session.options.indexer), "blocks_behind": lag.blocks, "seconds_behind": lag.seconds}


def _relayer(session: Session, wallet: Wallet) -> Result | None:
    """What the relayer says about itself; that it does not answer is something to show here, not a failure."""
    if session.relayer_url() is None:
        return None
    with session.relayer() as client:
        try:
            terms = client.terms()
        except RelayerError as error:
            return {"host": client.name, "problem": str(error)}
        if (terms.chain_id, terms.pool) != (wallet.pool.chain_id, wallet.pool.address):
            return {"host": client.name, "problem": "it serves another pool or chain"}
        return {
            "host": client.name,
            "account": terms.relayer,
            "tokens": list(terms.tokens),
            "takes_notes": terms.address is not None,
        }


def _terms_in_words(relayer: Result) -> str:
    if "problem" in relayer:
        return str(relayer["problem"])
    privately = "with a note too" if relayer["takes_notes"] else "openly only"
    return f"takes fees in {', '.join(relayer['tokens']) or 'no token'}, {privately}; quotes one when you pay"


def _why_not_spendable(wallet: Wallet, balances: list[Balance]) -> list[str]:
    reasons = []
    if any(balance.pending for balance in balances):
        waiting = wallet.pool.pending_count()
        reasons.append(
            f"notes that are not in the tree yet can be spent after the next tree update; {waiting} of everybody's "
            "wait, and the pool takes 64 at once, or fewer one to two minutes after the oldest came: `gelap wallet "
            "insert` does it"
        )
    if any(balance.reserved for balance in balances):
        reasons.append("notes in unfinished payments come back when those fail or their deadline passes: see `status`")
    return reasons


def _time(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return f"second {seconds}"  # false: a source of events can say what it likes
