"""Payments of the people here: made, booked in the model, relayed, kept when their sending fails, and sent again."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from eth_account import Account as EvmAccount

from chain.errors import RelayerError
from chain.relayer.client import RelayerClient
from chain.relayer.quote import Kind
from protocol.memo import TEXT_BYTES
from tests.e2e.world.model import Entry
from tests.e2e.world.people import Person
from tests.e2e.world.setting import UNIT, World
from wallet.spend import PreparedSpend
from wallet.store import StoredNote
from wallet.wallet import Settled

# More than any quote here: a payment leaves so much for it.
MOST_FEE = 8 * UNIT
TEXTS = ("", "for lunch", "[bold]rent[/]", "grüße ✓", "a" * TEXT_BYTES)


@dataclass(frozen=True)
class Payment:
    """A payment to make, and how to ask a wallet for it: at once, in steps, or by a command.

    `entries` is what the model expects in histories, given the fee and the sum of the notes that are taken; `paid_out`
    what leaves the pool beside the fee, by (receiver, token). A private fee is possible where nothing is paid out.
    """

    token: str
    kind: Kind
    entries: Callable[[int, int], list[Entry]]
    paid_out: dict[tuple[str, str], int]
    make: Callable[..., Settled]
    prepare: Callable[..., PreparedSpend]
    command: tuple[str, ...]
    covers_fee: bool = True
    """Whether there is enough for a relayer's fee too."""


@dataclass(frozen=True)
class Kept:
    """A proved payment that is with its wallet only. Whenever that sends it, this is what it does."""

    person: str
    payment: Payment
    fee: int
    private_fee: int


# What sending a payment again may be answered with: it is settled, perhaps this very moment, or never can be.
_HARMLESS = ("UnknownRoot", "settled already", "another transaction came first")


class Payments:
    """Makes payments and writes into the model what must come of them. People may pay at the same time; what concerns
    one of them runs in that person's thread.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.kept: dict[tuple[int, ...], Kept] = {}
        """By their output commitments."""

    # What to pay

    def spendable(self, person: Person, token: str) -> list[StoredNote]:
        """As of the wallet's last look, largest first."""
        found = [
            stored
            for stored in person.wallet.notes()
            if stored.note.token == int(token, 16)
            and stored.note.amount
            and stored.spent_transaction is None
            and stored.leaf_index is not None
            and not stored.reserved
        ]
        return sorted(found, key=lambda stored: (-stored.note.amount, -stored.position))

    def rich_token(self, person: Person) -> tuple[str, list[StoredNote]]:
        """The token of which this person can pay most now, and its notes; waits for a tree update if that helps."""
        person.sync()
        for _ in range(2):
            found = {token.address: self.spendable(person, token.address) for token in self._world.tokens}
            token = max(found, key=lambda each: most(found[each]))
            if found[token]:
                return token, found[token]
            if not any(person.wallet.balance(each.address).pending for each in self._world.tokens):
                break
            self._world.flush()
            person.sync()
        return token, []

    def funds(self, person: Person, least: int) -> tuple[str, int]:
        """A token of which this person can pay so much now, and how much at most; deposits some if need be."""
        token, notes = self.rich_token(person)
        if most(notes) < least:
            token = self._world.tokens[0].address
            self.deposited(person, token, least, person.wallet.deposit(token, least).tx_hash)
            self._world.flush()
            person.sync()
            notes = self.spendable(person, token)
        assert most(notes) >= least
        return token, most(notes)

    def sending(
        self, person: Person, recipient: Person, address: str, token: str, up_to: int, rng: random.Random
    ) -> Payment:
        """`address` is one that the recipient gave this payer."""
        text, index, amount = rng.choice(TEXTS), recipient.issued.index(address), _part(up_to, rng)

        def entries(fee: int, taken: int) -> list[Entry]:
            return [
                Entry(person.name, "sent", token, amount, fee, address),
                Entry(recipient.name, "received", token, amount, 0, str(index), text),
            ]

        return Payment(
            token,
            "transact",
            entries,
            {},
            lambda **terms: person.wallet.send(address, token, amount, text=text, **terms),
            lambda **terms: person.wallet.prepare_send(address, token, amount, text=text, **terms),
            ("send", address, token, str(amount), "--text", text),
        )

    def withdrawing(self, person: Person, token: str, up_to: int, rng: random.Random) -> Payment:
        return self.withdrawal(person, token, _part(up_to, rng), rng)

    def withdrawal(self, person: Person, token: str, amount: int, rng: random.Random) -> Payment:
        """Of exactly this amount, to an account that nobody used."""
        receiver = EvmAccount.from_key(rng.randbytes(32)).address
        return Payment(
            token,
            "withdraw",
            lambda fee, taken: [Entry(person.name, "withdrawn", token, amount, fee, receiver)],
            {(receiver, token): amount},
            lambda **terms: person.wallet.withdraw(receiver, token, amount, **terms),
            lambda **terms: person.wallet.prepare_withdraw(receiver, token, amount, **terms),
            ("withdraw", receiver, token, str(amount)),
        )

    def merging(self, person: Person, token: str, notes: list[StoredNote]) -> Payment:
        return Payment(
            token,
            "transact",
            lambda fee, taken: [Entry(person.name, "merged", token, taken - fee, fee)],
            {},
            lambda **terms: person.wallet.consolidate(token, **terms),
            lambda **terms: person.wallet.prepare_consolidate(token, **terms),
            ("consolidate", token),
            covers_fee=most(notes) > MOST_FEE,
        )

    # How it is paid

    def settle(self, person: Person, payment: Payment, by_command: bool, rng: random.Random) -> str:
        """By oneself or through the relayer, and then with its fee on chain or by a note."""
        way = rng.choice(("own gas", "own gas", "relayer", "relayer", "relayer, privately"))
        if payment.kind == "withdraw":
            way = way.removesuffix(", privately")
        if not payment.covers_fee:
            way = "own gas"
        told = f"{payment.command[0]} with {way}"
        away = self._world.services["relayer"].child is None or "relayer restarted" in self._world.disturbed
        if away and way != "own gas":
            told += f", {self._through_trouble(person, payment, privately=way != 'relayer')}"
        elif by_command:
            self._by_command(person, payment, way)
        elif way == "own gas":
            self.alone(person, payment)
        else:
            self.relayed(person, payment, privately=way != "relayer")
        return told

    def alone(self, person: Person, payment: Payment) -> None:
        settled = payment.make()
        self.book_spend(person, settled.receipt.tx_hash, payment, settled.spend)

    def _by_command(self, person: Person, payment: Payment, way: str) -> None:
        options: tuple[str, ...] = ("--yes",)
        if way != "own gas":
            options += ("--relayer", self._world.relayer_url, "--max-fee", str(MOST_FEE))
        if way == "relayer, privately":
            options += ("--pay-relayer", "privately")
        done = person.command(*payment.command, *options)["result"]
        fee = int(done["fee"])
        fees = (0, fee) if way == "relayer, privately" else (fee, 0)
        self.book(person, done["transaction"], payment, *fees)

    def relayed(self, person: Person, payment: Payment, privately: bool = False) -> None:
        """Have the relayer settle it: this person's own account sends nothing."""
        before = self._world.w3.eth.get_transaction_count(person.payer.address)
        private = {"private_fee": True} if privately else {}
        with self._world.relayer() as relayer:
            settled = payment.make(via=relayer, max_fee=MOST_FEE, **private)
        assert 0 < settled.spend.fee <= MOST_FEE
        assert (settled.spend.note_fee > 0) == privately
        self.book_spend(person, settled.receipt.tx_hash, payment, settled.spend)
        assert self._world.w3.eth.get_transaction_count(person.payer.address) == before

    def _through_trouble(self, person: Person, payment: Payment, privately: bool) -> str:
        """The relayer is away, or goes and comes back at any moment of this payment.

        Whoever gets no quote has signed nothing, and pays with own gas. Whoever gets no answer after the proof has a
        payment that is kept, and sends it from the own account, unless the relayer did.
        """
        before = {found.nullifiers for found in person.wallet.payments()}
        try:
            self.relayed(person, payment, privately)
        except RelayerError as error:
            if error.code not in ("unreachable", "stopping"):
                raise
            signed = [found for found in person.wallet.payments() if found.nullifiers not in before]
            if not signed:
                self.alone(person, payment)
                return f"the relayer is {error.code}"
            ((call, fee),) = [(found.call, found.fee) for found in signed]
            assert call is not None, "what was not proved was not given away"
            self.kept[tuple(call.commitments)] = Kept(person.name, payment, *((0, fee) if privately else (fee, 0)))
            person.sync()
            self.resume_all(person)
            assert tuple(call.commitments) not in self.kept
            return f"the relayer is {error.code} after the proof, resumed"
        return "settled all the same"

    # What came of it

    def deposited(self, person: Person, token: str, amount: int, transaction: str) -> None:
        """Write a mined deposit into the model."""
        entry = Entry(person.name, "deposited", token, amount, counterparty=person.payer.address)
        self._world.settled(transaction, [entry], {(person.payer.address, token): -amount})

    def book(self, person: Person, transaction: str, payment: Payment, fee: int = 0, private_fee: int = 0) -> None:
        """Write a mined payment into the model; `fee` is the relayer's on chain, `private_fee` that by a note."""
        relayer = self._world.relayer_account.address
        taken = 0
        if payment.command[0] == "consolidate":
            # Which notes were the largest when it was made, only the wallet knows.
            person.sync()
            taken = sum(
                stored.note.amount for stored in person.wallet.notes() if stored.spent_transaction == transaction
            )
        entries = payment.entries(fee + private_fee, taken)
        if private_fee:
            entries.append(Entry(self._world.treasury.name, "received", payment.token, private_fee, 0, "0"))
        moved = payment.paid_out | ({(relayer, payment.token): fee} if fee else {})
        self._world.settled(transaction, entries, moved)

    def book_spend(self, person: Person, transaction: str, payment: Payment, spend: PreparedSpend) -> None:
        self.book(person, transaction, payment, spend.terms.fee, spend.note_fee)

    def keep(self, person: Person, spend: PreparedSpend, payment: Payment) -> None:
        outputs = tuple(spend.witness.public.commitments)
        self.kept[outputs] = Kept(person.name, payment, spend.terms.fee, spend.note_fee)

    def resume(self, person: Person, spend: PreparedSpend, via: RelayerClient | None = None) -> bool:
        """The wallet's file still holds the proved payment, and sends it, unless it was sent since. False where that
        can never be: its deadline passed, its root went with a lost tree update, or its file is lost.
        """
        person.sync()
        self.resume_all(person, via)
        outputs, public = tuple(spend.witness.public.commitments), spend.witness.public
        if outputs not in self.kept:
            return True
        pool = self._world.direct
        in_time = spend.terms.deadline >= pool.now()
        held = any(found.nullifiers == spend.reserved for found in person.wallet.payments())
        possible = pool.known_root(public.root)
        assert not (held and in_time and possible), "it could be settled, and was not"
        if not (held and in_time):
            del self.kept[outputs]  # else a tree update may bring its root back
        return False

    def resume_all(self, person: Person, via: RelayerClient | None = None) -> int:
        """Have the wallet, which is synchronised, send again what it has not seen settled; returns how much was.

        A payment whose root went with a lost tree update can never settle: its notes come back with its deadline.
        """
        sent = 0
        for resumed in person.wallet.resume(via=via):
            if resumed.receipt is None:
                assert any(reason in resumed.problem for reason in _HARMLESS), resumed.problem
                continue
            sent += 1
            self.sent_again(person, resumed.receipt.tx_hash)
        self._book_kept(person)
        return sent

    def sent_again(self, person: Person, transaction: str) -> None:
        """The wallet settled a payment that was kept, or lost with its block, in this transaction."""
        outputs = tuple(self._world.call(transaction)[1]["spend"]["commitments"])
        if outputs in self.kept:
            self._book_kept(person)
            return
        block = self._world.block_of(transaction)
        assert block is not None
        self._world.model.settle_again(outputs, transaction, block)

    def _book_kept(self, person: Person) -> None:
        for outputs, kept in list(self.kept.items()):
            if kept.person == person.name and (transaction := self._world.transaction_with(outputs)):
                del self.kept[outputs]
                self.book(person, transaction, kept.payment, kept.fee, kept.private_fee)


def most(notes: list[StoredNote]) -> int:
    """What one payment can pay out of these notes, largest first."""
    return sum(stored.note.amount for stored in notes[:2])


def _part(up_to: int, rng: random.Random) -> int:
    """A part of it, all of it, or very little."""
    return max(1, rng.choice((up_to, rng.randint(1, up_to), rng.randint(1, up_to), up_to // 1000)))
