"""What people do: each operation acts through a wallet, then writes into the model what must have come of it."""

import random
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass

import pytest
from eth_account import Account as EvmAccount
from hexbytes import HexBytes

from chain.errors import NotMinedError, RpcError
from chain.sequencer import Outcome
from tests.e2e.world import checks
from tests.e2e.world.payments import MOST_FEE, Payment, Payments, most
from tests.e2e.world.people import Person, everyone
from tests.e2e.world.plan import Step
from tests.e2e.world.setting import UNIT, WAIT_SECONDS, World
from wallet.errors import ConsolidationError, InsufficientFundsError, NotSpendableYetError
from wallet.exit_codes import ending_of
from wallet.spend import PreparedSpend

MORE_THAN_ALL = 10**9 * UNIT
"""More than there is of any token."""


@dataclass
class Turn:
    """One person's operation; `alone` says that nobody else acts meanwhile. `recipient` gave `address` for a payment,
    `paid` once there is one.
    """

    step: Step
    person: Person
    alone: bool
    recipient: Person | None = None
    address: str = ""
    paid: bool = False


class Operations:
    """Runs the operations of a round, all at the same time. After them every wallet and the model must agree."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.payments = Payments(world)
        self._kinds: dict[str, Callable[[Turn, random.Random], str]] = {
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

    def begin(self, steps: tuple[Step, ...]) -> "list[tuple[Turn, Future[None]]]":
        """Have their people do them."""
        turns = [self._turn(step, alone=len(steps) == 1) for step in steps]
        return [(turn, turn.person.begin(self._run, turn)) for turn in turns]

    def end(self, begun: "list[tuple[Turn, Future[None]]]") -> None:
        """Wait until all are done. AssertionError when anything is not as it must be."""
        wait([future for _, future in begun])
        for turn, future in begun:
            future.result()
            if turn.recipient is not None and not turn.paid:
                turn.recipient.unused.insert(0, turn.address)
        everyone(self._world.people, lambda person: checks.balances_agree(self._world, person))

    def _turn(self, step: Step, alone: bool) -> Turn:
        turn = Turn(step, self._world.people[step.actor], alone)
        if step.kind in ("send", "send to oneself"):
            turn.recipient = self._world.people[step.other if step.kind == "send" else step.actor]
            turn.address = turn.recipient.do(turn.recipient.address_for_a_payer)
        return turn

    def _run(self, turn: Turn) -> None:
        """Do it, in the person's thread."""
        step = turn.step
        with self._world.telling(f"{step.number:3} {'' if turn.alone else '| '}{step.kind}") as tell:
            words = self._kinds[step.kind](turn, step.rng())
            tell(f"{turn.person.name}: {words}{' by command' if step.by_command else ''}")

    # One a kind

    def _deposit(self, turn: Turn, rng: random.Random) -> str:
        person, permit = turn.person, turn.step.kind == "permit deposit"
        token = rng.choice(self._world.tokens).address
        amount = rng.choice((rng.randint(30, 500) * UNIT, rng.randint(20 * UNIT, 500 * UNIT)))
        if turn.step.by_command:
            options = ("--permit",) if permit else ()
            done = person.command("deposit", token, str(amount), *options, "--yes")
            transaction = done["result"]["transaction"]
        else:
            transaction = person.wallet.deposit(token, amount, permit=permit).tx_hash
        self.payments.deposited(person, token, amount, transaction)
        return f"{'permit ' if permit else ''}deposit of {amount}"

    def _send(self, turn: Turn, rng: random.Random) -> str:
        person, recipient = turn.person, turn.recipient
        assert recipient is not None

        def payment(token: str, up_to: int) -> Payment:
            turn.paid = True
            return self.payments.sending(person, recipient, turn.address, token, up_to, rng)

        return self._pay(turn, rng, payment)

    def _withdraw(self, turn: Turn, rng: random.Random) -> str:
        return self._pay(turn, rng, lambda token, up_to: self.payments.withdrawing(turn.person, token, up_to, rng))

    def _consolidate(self, turn: Turn, rng: random.Random) -> str:
        person = turn.person
        person.sync()
        for _ in range(2):
            for token in rng.sample(self._world.tokens, len(self._world.tokens)):
                notes = self.payments.spendable(person, token.address)
                if len(notes) >= 2:
                    payment = self.payments.merging(person, token.address, notes)
                    return self.payments.settle(person, payment, turn.step.by_command, rng)
            self._world.flush()
            person.sync()
        if not turn.alone:
            return "nothing to consolidate"
        with pytest.raises(ConsolidationError, match="nothing to merge"):
            person.wallet.consolidate(rng.choice(self._world.tokens).address)
        return "nothing to consolidate, as the wallet says"

    def _insert(self, turn: Turn, rng: random.Random) -> str:
        """Anyone may move what waits into the tree; here two sequencers are at it already."""
        if rng.random() < 0.5:
            self._world.pass_time(120)
        outcome: str = turn.person.command("insert", "--yes")["result"]["outcome"]
        assert outcome in {each.value for each in Outcome}
        return f"insert by command: {outcome}"

    def _sync(self, turn: Turn, rng: random.Random) -> str:
        if not turn.step.by_command:
            return f"sync up to {turn.person.sync()}"
        told = turn.person.command("balance")["result"]["tokens"]
        if turn.alone:
            for token in self._world.tokens:
                total = told.get(token.address, {"total": "0"})["total"]
                assert int(total) == self._world.model.balance(turn.person.name, token.address)
        return "balance"

    def _address(self, turn: Turn, rng: random.Random) -> str:
        person = turn.person
        if turn.step.by_command:
            person.issued_address(person.command("address", "--label", "e2e")["result"]["address"])
        else:
            person.new_address()
        assert [address for address, _ in person.wallet.addresses()] == person.issued
        return f"address {len(person.issued)}"

    def _too_much(self, turn: Turn, rng: random.Random) -> str:
        """Amounts that cannot be paid fail, each with its own error, and nothing is signed."""
        person, wallet = turn.person, turn.person.wallet
        person.sync()
        token = rng.choice(self._world.tokens).address
        before, payments = wallet.balance(token), wallet.payments()
        if rng.random() < 0.2:
            with pytest.raises(InsufficientFundsError, match="the EVM account holds"):
                wallet.deposit(token, MORE_THAN_ALL)
            return "deposit of more than there is"
        if rng.random() < 0.5 and before.total > before.spendable:
            return self._all_of_it(turn, token, before.total, rng)
        # Others may pay this person meanwhile.
        amount = before.total + rng.randint(1, UNIT) if turn.alone else MORE_THAN_ALL
        receiver = EvmAccount.create().address
        if turn.step.by_command:
            ending = ending_of(InsufficientFundsError(""))
            told = person.command("withdraw", receiver, token, str(amount), "--yes", code=ending.code)
            assert told["error"]["name"] == ending.name
        else:
            with pytest.raises(InsufficientFundsError) as error:
                wallet.withdraw(receiver, token, amount)
            assert type(error.value) is InsufficientFundsError
        # Some may have ended with their deadline.
        assert {found.nullifiers for found in person.wallet.payments()} <= {found.nullifiers for found in payments}
        return f"InsufficientFundsError for {amount}"

    def _all_of_it(self, turn: Turn, token: str, amount: int, rng: random.Random) -> str:
        """A part cannot be spent yet, unless a tree update comes this moment: then all is paid, or too many notes are
        in the way.
        """
        person, payment = turn.person, self.payments.withdrawal(turn.person, token, amount, rng)
        try:
            settled = payment.make()
        except NotSpendableYetError:
            return f"NotSpendableYetError for {amount}"
        except ConsolidationError:
            return f"ConsolidationError for {amount}"
        self.payments.book_spend(person, settled.receipt.tx_hash, payment, settled.spend)
        return f"withdraw of all {amount}, which a tree update made possible"

    def _abandoned(self, turn: Turn, rng: random.Random) -> str:
        """A payment that was signed, perhaps even proved, and given up: its notes are free again."""
        person = turn.person
        token, notes = self.payments.rich_token(person)
        if not notes:
            return "too poor, " + self._deposit(turn, rng)
        spend = self.payments.withdrawing(person, token, most(notes), rng).prepare()
        assert _held_back(person, spend)
        proved = rng.random() < 0.5
        if proved:
            person.wallet.prove(spend)
        person.wallet.abandon(spend)
        assert not _held_back(person, spend)
        return f"abandoned a payment {'with' if proved else 'without'} its proof"

    def _crash(self, turn: Turn, rng: random.Random) -> str:
        person = turn.person
        token, notes = self.payments.rich_token(person)
        if not notes:
            return "too poor, " + self._deposit(turn, rng)
        payment = self.payments.withdrawing(person, token, most(notes), rng)
        ways = [self._crash_before_proof]
        if not person.others:  # a request that fails at one endpoint would go to another
            ways += [self._crash_before_sending, self._crash_after_sending]
        return rng.choice(ways)(person, payment)

    def _crash_before_proof(self, person: Person, payment: Payment) -> str:
        """Nothing can be resumed; the notes come back when the deadline has passed."""
        spend = payment.prepare()
        person.close()
        person.sync()
        assert _held_back(person, spend)
        (found,) = [found for found in person.wallet.payments() if found.nullifiers == spend.reserved]
        assert found.stage == "prepared"
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
        self.payments.keep(person, spend, payment)
        assert self.payments.resume(person, spend)
        return "crash after the proof, then resumed"

    def _crash_after_sending(self, person: Person, payment: Payment) -> str:
        spend = payment.prepare()
        proof = person.wallet.prove(spend)
        with person.endpoint.lose_answer("eth_sendRawTransaction"), pytest.raises(NotMinedError) as error:
            person.wallet.submit(spend, proof)
        person.close()
        self._world.w3.eth.wait_for_transaction_receipt(
            HexBytes(error.value.transaction), timeout=WAIT_SECONDS, poll_latency=0.02
        )
        self.payments.book_spend(person, error.value.transaction, payment, spend)
        # Without a look at the chain first the wallet does not know yet; sending again changes nothing.
        self.payments.resume_all(person)
        return "crash after sending"

    def _pay(self, turn: Turn, rng: random.Random, payment: Callable[[str, int], Payment]) -> str:
        token, notes = self.payments.rich_token(turn.person)
        if most(notes) < MOST_FEE + UNIT:
            return "too poor, " + self._deposit(turn, rng)
        # What is left covers a relayer's fee.
        return self.payments.settle(turn.person, payment(token, most(notes) - MOST_FEE), turn.step.by_command, rng)


def _held_back(person: Person, spend: PreparedSpend) -> bool:
    """Whether the notes of this payment are kept out of others."""
    (held,) = {stored.reserved for stored in person.wallet.notes() if stored.nullifier in spend.reserved}
    return held
