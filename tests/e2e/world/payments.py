"""Payments of the people here: made, booked in the model, relayed, kept when their sending fails, and sent again."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from eth_account import Account as EvmAccount

from chain.errors import RelayerError
from chain.relayer.client import RelayerClient
from chain.relayer.quote import Kind
from tests.e2e.world.model import Entry
from tests.e2e.world.people import Person
from tests.e2e.world.setting import UNIT, World
from wallet.spend import PreparedSpend
from wallet.store import StoredNote
from wallet.wallet import Settled

# More than any quote here: a payment leaves so much for it.
MOST_FEE = 8 * UNIT
TEXTS = ("", "for lunch", "[bold]rent[/]", "grüße ✓", "a" * 90)


@dataclass(frozen=True)
class Payment:
    """A payment to make, and how to ask a wallet for it: at once, in steps, or by a command.

    `entries` is what the model expects in histories, given the fee and how many notes are taken; `paid_out` what leaves
    the pool beside the fee, by (receiver, token). A private fee is possible where nothing is paid out.
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


class Payments:
    """Makes payments and writes into the model what must come of them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.kept: dict[tuple[int, ...], tuple[PreparedSpend, Payment]] = {}

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

    def sending(self, person: Person, recipient: Person, token: str, up_to: int, rng: random.Random) -> Payment:
        address, text = recipient.address_for_a_payer(), rng.choice(TEXTS)
        index = recipient.issued.index(address)
        amount = _part(up_to, rng)

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
        receiver = EvmAccount.from_key(rng.randbytes(32)).address
        amount = _part(up_to, rng)
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
        def entries(fee: int, taken: int) -> list[Entry]:
            merged = sum(stored.note.amount for stored in notes[:taken]) - fee
            return [Entry(person.name, "merged", token, merged, fee)]

        return Payment(
            token,
            "transact",
            entries,
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
        away = self._world.services["relayer"].child is None
        if away and way != "own gas":
            before = person.wallet.payments()
            with self._world.relayer() as relayer, pytest.raises(RelayerError) as error:
                payment.make(via=relayer, max_fee=MOST_FEE)
            assert error.value.code == "unreachable"
            assert person.wallet.payments() == before, "without a quote nothing is signed"
            way = "own gas"
        if by_command:
            self._by_command(person, payment, way)
        elif way == "own gas":
            settled = payment.make()
            self.book_spend(settled.receipt.tx_hash, payment, settled.spend)
        else:
            self.relayed(person, payment, privately=way != "relayer")
        return f"{payment.command[0]} with {way}" + (", the relayer is away" if away else "")

    def _by_command(self, person: Person, payment: Payment, way: str) -> None:
        options: tuple[str, ...] = ("--yes",)
        if way != "own gas":
            options += ("--relayer", self._world.relayer_url, "--max-fee", str(MOST_FEE))
        if way == "relayer, privately":
            options += ("--pay-relayer", "privately")
        done = person.command(*payment.command, *options)["result"]
        fee = int(done["fee"])
        fees = (0, fee) if way == "relayer, privately" else (fee, 0)
        self.book(done["transaction"], payment, done["notes"], *fees)

    def relayed(self, person: Person, payment: Payment, privately: bool = False) -> None:
        """Have the relayer settle it: this person's own account sends nothing."""
        before = self._world.w3.eth.get_transaction_count(person.payer.address)
        private = {"private_fee": True} if privately else {}
        with self._world.relayer() as relayer:
            settled = payment.make(via=relayer, max_fee=MOST_FEE, **private)
        assert 0 < settled.spend.fee <= MOST_FEE
        assert (settled.spend.note_fee > 0) == privately
        self.book_spend(settled.receipt.tx_hash, payment, settled.spend)
        assert self._world.w3.eth.get_transaction_count(person.payer.address) == before

    # What came of it

    def book(self, transaction: str, payment: Payment, taken: int, fee: int = 0, private_fee: int = 0) -> None:
        """Write a mined payment into the model; `fee` is the relayer's on chain, `private_fee` that by a note."""
        relayer = self._world.relayer_account.address
        entries = payment.entries(fee + private_fee, taken)
        if private_fee:
            entries.append(Entry(self._world.treasury.name, "received", payment.token, private_fee, 0, "0"))
        moved = payment.paid_out | ({(relayer, payment.token): fee} if fee else {})
        self._world.settled(transaction, entries, moved)

    def book_spend(self, transaction: str, payment: Payment, spend: PreparedSpend) -> None:
        self.book(transaction, payment, len(spend.reserved), spend.terms.fee, spend.note_fee)

    def keep(self, spend: PreparedSpend, payment: Payment) -> None:
        """A proved payment is with its wallet only: whenever that sends it, this is what it does."""
        self.kept[tuple(spend.witness.public.commitments)] = spend, payment

    def resume(self, person: Person, spend: PreparedSpend, payment: Payment, via: RelayerClient | None = None) -> None:
        """The wallet's file still holds the proved payment, and sends it, unless it was sent since."""
        outputs = tuple(spend.witness.public.commitments)
        if outputs in self.kept:
            person.sync()
            (found,) = [found for found in person.wallet.payments() if found.nullifiers == spend.reserved]
            assert found.stage == "proved"
            self.resume_all(person, via)
        assert outputs not in self.kept

    def resume_all(self, person: Person, via: RelayerClient | None = None) -> int:
        """Have the wallet send again what it has not seen settled; returns how much was.

        A payment whose root went with a lost tree update can never settle: its notes come back with its deadline.
        """
        sent = 0
        for resumed in person.wallet.resume(via=via):
            if resumed.receipt is None:
                assert any(reason in resumed.problem for reason in ("UnknownRoot", "settled already")), resumed.problem
                continue
            sent += 1
            assert resumed.payment.call is not None
            outputs = tuple(resumed.payment.call.commitments)
            if outputs in self.kept:
                spend, payment = self.kept.pop(outputs)
                self.book_spend(resumed.receipt.tx_hash, payment, spend)
            else:
                block = self._world.block_of(resumed.receipt.tx_hash)
                assert block is not None
                self._world.model.settle_again(outputs, resumed.receipt.tx_hash, block)
        return sent


def most(notes: list[StoredNote]) -> int:
    """What one payment can pay out of these notes, largest first."""
    return sum(stored.note.amount for stored in notes[:2])


def _part(up_to: int, rng: random.Random) -> int:
    """A part of it, all of it, or very little."""
    return max(1, rng.choice((up_to, rng.randint(1, up_to), rng.randint(1, up_to), up_to // 1000)))
