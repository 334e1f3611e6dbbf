"""What people do: each operation acts through a wallet, then writes into the model what must have come of it."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from eth_account import Account as EvmAccount
from hexbytes import HexBytes

from chain.errors import NotMinedError, RelayerError, RpcError
from chain.relayer.client import RelayerClient
from chain.relayer.quote import Kind
from chain.sequencer import Outcome
from tests.e2e.world.model import Entry
from tests.e2e.world.people import Person
from tests.e2e.world.plan import Step
from tests.e2e.world.setting import UNIT, World
from wallet.errors import ConsolidationError, InsufficientFundsError, NotSpendableYetError
from wallet.exit_codes import ending_of
from wallet.spend import PreparedSpend
from wallet.store import StoredNote
from wallet.wallet import Settled

# More than any quote here: a payment leaves so much for it.
MOST_FEE = 8 * UNIT
TEXTS = ("", "for lunch", "[bold]rent[/]", "grüße ✓", "a" * 106)


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


class Operations:
    """Runs steps. Every operation first checks that its actor's wallet and the model agree on all balances."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.kept: dict[tuple[int, ...], tuple[PreparedSpend, Payment]] = {}

    def run(self, step: Step) -> str:
        """Do it; returns what was done in words. AssertionError when anything is not as it must be."""
        person = self._world.people[step.actor]
        by = " by command" if step.by_command else ""
        words = self._kinds()[step.kind](person, step, step.rng())
        self.agree(person)
        return f"{person.name}: {words}{by}"

    def agree(self, person: Person) -> None:
        """The wallet, synchronised, holds what the model says."""
        person.sync()
        for token in self._world.tokens:
            expected = self._world.model.balance(person.name, token.address)
            found = person.wallet.balance(token.address)
            assert found.total == expected, f"{person.name} has {found} of {token.address}, the model {expected}"

    def _kinds(self) -> dict[str, Callable[[Person, Step, random.Random], str]]:
        return {
            "deposit": self._deposit,
            "permit deposit": self._deposit,
            "send": self._send,
            "send to oneself": self._send,
            "withdraw": self._withdraw,
            "consolidate": self._consolidate,
            "insert": self._insert,
            "sync": self._sync,
            "address": self._address,
            "too much": self._too_much,
            "abandoned": self._abandoned,
            "crash": self._crash,
        }

    # One a kind

    def _deposit(self, person: Person, step: Step, rng: random.Random) -> str:
        token = rng.choice(self._world.tokens).address
        amount = rng.choice((rng.randint(30, 500) * UNIT, rng.randint(20 * UNIT, 500 * UNIT)))
        permit = step.kind == "permit deposit"
        if step.by_command:
            options = ("--permit",) if permit else ()
            done = person.command("deposit", token, str(amount), *options, "--yes")
            transaction = done["result"]["transaction"]
        else:
            transaction = person.wallet.deposit(token, amount, permit=permit).tx_hash
        entry = Entry(person.name, "deposited", token, amount)
        self._world.settled(transaction, [entry], {(person.payer.address, token): -amount})
        return f"{'permit ' if permit else ''}deposit of {amount}"

    def _send(self, person: Person, step: Step, rng: random.Random) -> str:
        others = [other for other in self._world.people if other is not person]
        recipient = person if step.kind == "send to oneself" else rng.choice(others)
        return self._pay(person, step, rng, lambda token, most: self.sending(person, recipient, token, most, rng))

    def _withdraw(self, person: Person, step: Step, rng: random.Random) -> str:
        return self._pay(person, step, rng, lambda token, most: self.withdrawing(person, token, most, rng))

    def _consolidate(self, person: Person, step: Step, rng: random.Random) -> str:
        person.sync()
        for token in rng.sample(self._world.tokens, len(self._world.tokens)):
            notes = self.spendable(person, token.address)
            if len(notes) >= 2:
                return self._settle(person, self.merging(person, token.address, notes), step, rng)
        token = rng.choice(self._world.tokens).address
        with pytest.raises(ConsolidationError, match="nothing to merge"):
            person.wallet.consolidate(token)
        return "nothing to consolidate"

    def _insert(self, person: Person, step: Step, rng: random.Random) -> str:
        """Anyone may move what waits into the tree; here two sequencers are at it already."""
        if rng.random() < 0.5:
            self._world.pass_time(120)
        outcome: str = person.command("insert", "--yes")["result"]["outcome"]
        assert outcome in {each.value for each in Outcome}
        return f"insert by command: {outcome}"

    def _sync(self, person: Person, step: Step, rng: random.Random) -> str:
        if not step.by_command:
            return f"sync up to {person.sync()}"
        told = person.command("balance")["result"]["tokens"]
        for token in self._world.tokens:
            total = told.get(token.address, {"total": "0"})["total"]
            assert int(total) == self._world.model.balance(person.name, token.address)
        return "balance"

    def _address(self, person: Person, step: Step, rng: random.Random) -> str:
        if step.by_command:
            person.issued_address(person.command("address", "--label", "e2e")["result"]["address"])
        else:
            person.new_address()
        assert [address for address, _ in person.wallet.addresses()] == person.issued
        return f"address {len(person.issued)}"

    def _too_much(self, person: Person, step: Step, rng: random.Random) -> str:
        """Amounts that cannot be paid fail, each with its own error, and change nothing."""
        person.sync()
        wallet = person.wallet
        token = rng.choice(self._world.tokens).address
        before, payments = wallet.balance(token), wallet.payments()
        amount, expected = before.total + rng.randint(1, UNIT), InsufficientFundsError
        if rng.random() < 0.5 and before.total > before.spendable:
            amount, expected = before.total, NotSpendableYetError
        receiver = EvmAccount.create().address
        if rng.random() < 0.2:
            with pytest.raises(InsufficientFundsError, match="the EVM account holds"):
                wallet.deposit(token, 10**9 * UNIT)
        elif step.by_command:
            ending = ending_of(expected(""))
            told = person.command("withdraw", receiver, token, str(amount), "--yes", code=ending.code)
            assert told["error"]["name"] == ending.name
        else:
            with pytest.raises(InsufficientFundsError) as error:
                wallet.withdraw(receiver, token, amount)
            assert type(error.value) is expected
        person.sync()
        after = person.wallet.balance(token)
        assert (after.total, person.wallet.payments()) == (before.total, payments)
        return f"{expected.__name__} for {amount}"

    def _abandoned(self, person: Person, step: Step, rng: random.Random) -> str:
        """A payment that was signed, perhaps even proved, and given up: its notes are free again."""
        token, notes = self.rich_token(person)
        if not notes:
            return "too poor, " + self._deposit(person, step, rng)
        wallet = person.wallet
        before = wallet.balance(token)
        spend = self.withdrawing(person, token, most(notes), rng).prepare()
        assert wallet.balance(token).reserved > before.reserved
        proved = rng.random() < 0.5
        if proved:
            wallet.prove(spend)
        wallet.abandon(spend)
        assert wallet.balance(token) == before
        return f"abandoned a payment {'with' if proved else 'without'} its proof"

    def _crash(self, person: Person, step: Step, rng: random.Random) -> str:
        token, notes = self.rich_token(person)
        if not notes:
            return "too poor, " + self._deposit(person, step, rng)
        payment = self.withdrawing(person, token, most(notes), rng)
        ways = [self._crash_before_proof]
        if not person.others:  # a request that fails at one endpoint would go to another
            ways += [self._crash_before_sending, self._crash_after_sending]
        return rng.choice(ways)(person, payment)

    def _crash_before_proof(self, person: Person, payment: Payment) -> str:
        """Nothing can be resumed; the notes come back when the deadline has passed."""
        reserved = person.wallet.balance(payment.token).reserved
        payment.prepare()
        person.close()
        person.sync()
        assert person.wallet.balance(payment.token).reserved > reserved
        assert {found.stage for found in person.wallet.payments()} >= {"prepared"}
        return "crash before the proof"

    def _crash_before_sending(self, person: Person, payment: Payment) -> str:
        spend = payment.prepare()
        proof = person.wallet.prove(spend)
        person.endpoint.kill()
        try:
            with pytest.raises(RpcError):
                person.wallet.submit(spend, proof)
        finally:
            person.close()
            person.endpoint.revive()
        self.keep(spend, payment)
        self.resume(person, spend, payment)
        return "crash after the proof, then resumed"

    def _crash_after_sending(self, person: Person, payment: Payment) -> str:
        spend = payment.prepare()
        proof = person.wallet.prove(spend)
        with person.endpoint.lose_answer("eth_sendRawTransaction"), pytest.raises(NotMinedError) as error:
            person.wallet.submit(spend, proof)
        person.close()
        self._world.w3.eth.wait_for_transaction_receipt(HexBytes(error.value.transaction), poll_latency=0.02)
        self.book_spend(error.value.transaction, payment, spend)
        # Without a look at the chain first the wallet does not know yet; sending again changes nothing.
        self.resume_all(person)
        return "crash after sending"

    def resume(self, person: Person, spend: PreparedSpend, payment: Payment, via: RelayerClient | None = None) -> None:
        """The wallet's file still holds the proved payment, and sends it, unless it was sent since."""
        outputs = tuple(spend.witness.public.commitments)
        if outputs in self.kept:
            person.sync()
            (found,) = [found for found in person.wallet.payments() if found.nullifiers == spend.reserved]
            assert found.stage == "proved"
            self.resume_all(person, via)
        assert outputs not in self.kept

    def keep(self, spend: PreparedSpend, payment: Payment) -> None:
        """A proved payment is with its wallet only: whenever that sends it, this is what it does."""
        self.kept[tuple(spend.witness.public.commitments)] = spend, payment

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

    # Payments

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
        )

    def _pay(self, person: Person, step: Step, rng: random.Random, payment: Callable[[str, int], Payment]) -> str:
        token, notes = self.rich_token(person)
        if most(notes) < MOST_FEE + UNIT:
            return "too poor, " + self._deposit(person, step, rng)
        # What is left covers a relayer's fee.
        return self._settle(person, payment(token, most(notes) - MOST_FEE), step, rng)

    def _settle(self, person: Person, payment: Payment, step: Step, rng: random.Random) -> str:
        """By oneself or through the relayer, and then with its fee on chain or by a note."""
        way = rng.choice(("own gas", "own gas", "relayer", "relayer", "relayer, privately"))
        if payment.kind == "withdraw":
            way = way.removesuffix(", privately")
        away = self._world.services["relayer"].child is None
        if away and way != "own gas":
            with self._world.relayer() as relayer, pytest.raises(RelayerError) as error:
                payment.make(via=relayer, max_fee=MOST_FEE)
            assert error.value.code == "unreachable"
            assert person.wallet.balance(payment.token).reserved == 0 or person.wallet.payments()
            way = "own gas"
        if step.by_command:
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


def most(notes: list[StoredNote]) -> int:
    """What one payment can pay out of these notes, largest first."""
    return sum(stored.note.amount for stored in notes[:2])


def _part(up_to: int, rng: random.Random) -> int:
    """A part of it, all of it, or very little."""
    return max(1, rng.choice((up_to, rng.randint(1, up_to), rng.randint(1, up_to), up_to // 1000)))
