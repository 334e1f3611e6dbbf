"""`gelap wallet`: the commands. How each ends is in `wallet.exit_codes`, what it prints in `wallet.output`."""

import secrets
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from chain.errors import NotMinedError
from chain.pool import NOBODY
from chain.sequencer import Outcome, insert_pending
from chain.state import PoolState
from protocol.keys import new_mnemonic
from wallet import advice, keystore, viewing_key
from wallet.command import AMOUNT, CHAIN, PAYER, PROVER, SPEND, register
from wallet.errors import RequestError
from wallet.session import GrowingHash, Session
from wallet.spend import PreparedSpend
from wallet.wallet import Balance, Wallet

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Shielded tokens: receive, pay, withdraw.")

Token = Annotated[str, typer.Argument(help="The ERC-20 token's address.")]
Amount = Annotated[str, typer.Argument(help="In the token's smallest unit; see --decimals.")]
NewFile = Annotated[Path | None, typer.Option("--out", help="Write to this new file, mode 600.", show_default=False)]
Result = dict[str, Any]

BACKUP = (
    "Write these words on paper. They and the chain restore everything but the labels of addresses; the passphrase "
    "protects this computer's copy only. Whoever has the words has the money, and nobody can give them to you again."
)
VIEWING = "whoever has this key sees every payment of this account, past and future, for good; it cannot spend"


# Keys


@register(app, "init")
def init(
    session: Session,
    words: Annotated[int, typer.Option(help="12, 15, 18, 21 or 24.")] = 24,
    out: NewFile = None,
) -> Result:
    """Make a new wallet and its mnemonic, and show the mnemonic, or write it to --out."""
    mnemonic = new_mnemonic(words)
    session.create(keystore.Secrets(mnemonic))
    _show_words(session, mnemonic, out)
    return {"wallet": str(session.options.folder)}


@register(app, "import")
def import_(
    session: Session,
    mnemonic_file: Annotated[
        str | None, typer.Option(help="File with the words; - for stdin. Default: ask.", show_default=False)
    ] = None,
    bip39_passphrase_file: Annotated[
        str | None, typer.Option(help="File with the mnemonic's own passphrase, if it has one.", show_default=False)
    ] = None,
    account: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Account number.")] = 0,
    viewing_key_file: Annotated[
        str | None,
        typer.Option(
            "--viewing-key", help="File with a viewing key; - for stdin: see all, spend nothing.", show_default=False
        ),
    ] = None,
) -> Result:
    """Make a wallet from a mnemonic, or one that only looks from a viewing key."""
    if viewing_key_file is not None:
        if mnemonic_file is not None:
            raise RequestError("give a mnemonic or a viewing key, not both")
        content = keystore.Secrets(viewing=session.secret(viewing_key_file, "viewing key", "--viewing-key").strip())
    else:
        words = session.secret(mnemonic_file, "mnemonic", "--mnemonic-file")
        own = "" if bip39_passphrase_file is None else session.secret(
            bip39_passphrase_file, "mnemonic's passphrase", "--bip39-passphrase-file"
        )  # fmt: skip
        content = keystore.Secrets(" ".join(words.lower().split()), own, account)
    content.keys()  # before a passphrase is asked for
    session.create(content)
    session.output.say(f"the wallet is in {session.options.folder}; `gelap wallet sync` finds its notes")
    return {"wallet": str(session.options.folder), "view_only": viewing_key_file is not None}


@register(app, "backup")
def backup(session: Session, out: NewFile = None) -> Result:
    """Show the mnemonic again, or write it to --out."""
    _show_words(session, session.secrets.words(), out)
    return {"written_to": None if out is None else str(out)}


@register(app, "export-viewing-key")
def export_viewing_key(session: Session, out: NewFile = None) -> Result:
    """Print the key that sees everything and spends nothing, or write it to --out."""
    text = viewing_key.encode(session.keys)
    session.output.warn(VIEWING)
    if out is not None:
        keystore.write_private(out, text + "\n")
        return {"written_to": str(out)}
    session.output.value(text)
    return {"viewing_key": text}


# Looking


@register(app, "address", CHAIN)
def address(
    session: Session,
    label: Annotated[str, typer.Option(help="Who gets it; stays in the wallet's file.")] = "",
    show: Annotated[bool, typer.Option("--list", help="Those issued before, instead of a fresh one.")] = False,
) -> Result:
    """A fresh address: give every payer another one. Payers who compare theirs still see that they are of one account;
    a wallet made with `import --account N` has another.
    """
    with session.open_wallet() as wallet:
        if show:
            issued = wallet.addresses()
            session.output.table(("address", "label"), issued)
            return {"addresses": [{"address": text, "label": label} for text, label in issued]}
        fresh = wallet.new_address(label)
    session.output.value(fresh)
    return {"address": fresh}


@register(app, "balance", CHAIN)
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


@register(app, "history", CHAIN)
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


@register(app, "notes", CHAIN)
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


@register(app, "sync", CHAIN)
def sync(session: Session) -> Result:
    """Read what is new on the chain. Can be interrupted; goes on where it was."""
    with session.open_wallet() as wallet:
        head = session.sync(wallet)
        session.output.say(f"read up to block {head}; the tree has the contract's root {wallet.root:#066x}")
        return {"block": head, "root": hex(wallet.root)}


@register(app, "status", CHAIN)
def status(session: Session) -> Result:
    """The wallet, its chain and its payments on their way."""
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
            }
            for payment in wallet.payments()
        ]
        pending = wallet.pool.pending_count()
        entry = session.entry()
    view_only = session.secrets.mnemonic is None
    say = session.output.say
    say(f"wallet {session.options.folder}{', view only' if view_only else ''}; pool {entry.pool} on {entry.name}")
    say(f"read up to block {head} of {newest}; {pending} notes of everybody's wait for the next tree update")
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
        "payments": on_their_way,
    }


# Paying


@register(app, "deposit", CHAIN, PAYER, AMOUNT)
def deposit(
    session: Session,
    token: Token,
    amount: Amount,
    permit: Annotated[bool, typer.Option("--permit", help="Sign an EIP-2612 permit instead of an approval.")] = False,
) -> Result:
    """Move tokens of the EVM account into the pool. Account, token and amount are public."""
    value = session.amount(amount)
    if value > 0:
        _warn(session, advice.for_deposit(value))
    with session.open_wallet(session.evm_account) as wallet:
        held = wallet.pool.token(token).balance_of(session.evm_account.address)
        plan = {"token": token, "amount": str(value), "from": session.evm_account.address, "held": str(held)}
        if session.options.dry_run:
            return {"dry_run": True} | plan
        session.confirm(f"deposit {value} of {token} from {session.evm_account.address}?")
        receipt = wallet.deposit(token, value, permit=permit)
    session.output.say(f"deposited in {receipt.tx_hash}; spendable after the next tree update")
    return plan | {"transaction": receipt.tx_hash, "block": receipt.block_number, "gas": receipt.gas_used}


@register(app, "send", CHAIN, PROVER, PAYER, AMOUNT, SPEND)
def send(
    session: Session,
    recipient: Annotated[str, typer.Argument(help="A Gelap address.")],
    token: Token,
    amount: Amount,
    text: Annotated[str, typer.Option(help="For the recipient only, 106 bytes of UTF-8 at most.")] = "",
) -> Result:
    """Pay privately: nobody else sees who pays whom, what, or how much."""
    value, fee = session.amount(amount), session.amount(session.options.fee)

    def prepare(wallet: Wallet, reserve: bool) -> PreparedSpend:
        return wallet.prepare_send(
            recipient, token, value, text=text, fee=fee, relayer=session.options.relayer, reserve=reserve
        )

    return _pay(
        session,
        f"send {value} of {token}, fee {fee}, to {recipient}",
        prepare,
        lambda wallet, payer: advice.for_payment(wallet.history(), recipient, payer),
    )


@register(app, "withdraw", CHAIN, PROVER, PAYER, AMOUNT, SPEND)
def withdraw(
    session: Session,
    receiver: Annotated[str, typer.Argument(help="An EVM address; a fresh one is best.")],
    token: Token,
    amount: Amount,
) -> Result:
    """Pay out to an EVM address: receiver, token and amount are public."""
    value, fee = session.amount(amount), session.amount(session.options.fee)

    def prepare(wallet: Wallet, reserve: bool) -> PreparedSpend:
        return wallet.prepare_withdraw(
            receiver, token, value, fee=fee, relayer=session.options.relayer, reserve=reserve
        )

    def warnings(wallet: Wallet, payer: str | None) -> list[str]:
        now = int(time.time())
        return advice.for_withdrawal(wallet.history(), token, value, receiver, payer, now) if value > 0 else []

    return _pay(session, f"withdraw {value} of {token}, fee {fee}, to {receiver}", prepare, warnings)


@register(app, "consolidate", CHAIN, PROVER, PAYER, AMOUNT, SPEND)
def consolidate(session: Session, token: Token) -> Result:
    """Merge the two largest notes of a token into one, so that larger payments become possible."""
    fee = session.amount(session.options.fee)
    return _pay(
        session,
        f"merge the two largest notes of {token}, fee {fee}",
        lambda wallet, reserve: wallet.prepare_consolidate(
            token, fee=fee, relayer=session.options.relayer, reserve=reserve
        ),
        lambda wallet, payer: advice.for_payment([], "", payer),
    )


@register(app, "resume", CHAIN, PAYER)
def resume(session: Session) -> Result:
    """Send the proved payments again that were not seen settled. Each can settle only once."""
    with session.open_wallet(session.evm_account) as wallet:
        session.sync(wallet)
        waiting = [payment for payment in wallet.payments() if payment.call is not None]
        if session.options.dry_run or not waiting:
            session.output.say(f"{len(waiting)} payments to send again")
            return {"payments": [], "waiting": len(waiting)}
        session.confirm(f"send {len(waiting)} payments again?")
        done = wallet.resume()
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


@register(app, "insert", CHAIN, PROVER, PAYER)
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


def _pay(
    session: Session,
    what: str,
    prepare: Callable[[Wallet, bool], PreparedSpend],
    warnings: Callable[[Wallet, str | None], list[str]],
) -> Result:
    """Look at the payment, ask, and only then sign, prove and send it."""
    dry_run = session.options.dry_run
    account = None if dry_run and session.options.evm_key_file is None else session.evm_account
    with session.open_wallet(account, proving=True) as wallet:
        session.sync(wallet)
        looked_at = prepare(wallet, False)
        if session.prover.is_remote:
            session.output.warn(advice.REMOTE_PROVER)
        _warn(session, warnings(wallet, None if account is None else account.address))
        plan = _plan(looked_at)
        session.output.say(f"{what}; takes {plan['notes']} of your notes")
        if dry_run:
            return {"dry_run": True} | plan
        session.confirm("go on?")
        if session.options.delay:
            seconds = secrets.randbelow(session.options.delay + 1)
            session.output.say(f"waiting {seconds} seconds")
            time.sleep(seconds)
        spend = prepare(wallet, True)
        session.output.say("proving")
        try:
            proof = wallet.prove(spend)
        except BaseException:
            wallet.abandon(spend)
            raise
        try:
            receipt = wallet.submit(spend, proof)
        except NotMinedError:
            raise  # it may still land: `status` shows it, and its notes stay reserved until its deadline
        except Exception:
            wallet.abandon(spend)
            raise
    session.output.say(f"settled in {receipt.tx_hash}")
    return _plan(spend) | {"transaction": receipt.tx_hash, "block": receipt.block_number, "gas": receipt.gas_used}


def _plan(spend: PreparedSpend) -> Result:
    public, terms = spend.witness.public, spend.terms
    return {
        "notes": len(spend.reserved),
        "public_amount": str(public.public_amount),
        "receiver": None if terms.receiver == NOBODY else terms.receiver,
        "fee": str(terms.fee),
        "relayer": None if terms.relayer == NOBODY else terms.relayer,
        "deadline": terms.deadline,
    }


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


def _show_words(session: Session, mnemonic: str, out: Path | None) -> None:
    if out is not None:
        keystore.write_private(out, mnemonic + "\n")
        session.output.say(f"the mnemonic is in {out}. {BACKUP}")
    elif session.stderr_is_terminal:
        typer.echo(f"\n{mnemonic}\n\n{BACKUP}", err=True)
    else:
        session.output.warn("the mnemonic is not shown, since stderr is no terminal: `gelap wallet backup --out FILE`")


def _warn(session: Session, warnings: list[str]) -> None:
    for text in warnings:
        session.output.warn(text)


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
