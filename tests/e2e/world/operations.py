"""What people do: each operation acts through a wallet, then writes into the model what must have come of it."""

import random
from collections.abc import Callable

import pytest
from eth_account import Account as EvmAccount
from hexbytes import HexBytes

from chain.errors import NotMinedError, RpcError
from chain.sequencer import Outcome
from tests.e2e.world import checks
from tests.e2e.world.model import Entry
from tests.e2e.world.payments import MOST_FEE, Payment, Payments, most
from tests.e2e.world.people import Person
from tests.e2e.world.plan import Step
from tests.e2e.world.setting import UNIT, World
from wallet.errors import ConsolidationError, InsufficientFundsError, NotSpendableYetError
from wallet.exit_codes import ending_of


class Operations:
    """Runs steps. After each its actor's wallet and the model must agree on all balances."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.payments = Payments(world)

    def run(self, step: Step) -> str:
        """Do it; returns what was done in words. AssertionError when anything is not as it must be."""
        person = self._world.people[step.actor]
        by = " by command" if step.by_command else ""
        words = self._kinds()[step.kind](person, step, step.rng())
        checks.balances_agree(self._world, person)
        return f"{person.name}: {words}{by}"

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
        entry = Entry(person.name, "deposited", token, amount, counterparty=person.payer.address)
        self._world.settled(transaction, [entry], {(person.payer.address, token): -amount})
        return f"{'permit ' if permit else ''}deposit of {amount}"

    def _send(self, person: Person, step: Step, rng: random.Random) -> str:
        others = [other for other in self._world.people if other is not person]
        recipient = person if step.kind == "send to oneself" else rng.choice(others)
        return self._pay(
            person, step, rng, lambda token, up_to: self.payments.sending(person, recipient, token, up_to, rng)
        )

    def _withdraw(self, person: Person, step: Step, rng: random.Random) -> str:
        return self._pay(person, step, rng, lambda token, up_to: self.payments.withdrawing(person, token, up_to, rng))

    def _consolidate(self, person: Person, step: Step, rng: random.Random) -> str:
        person.sync()
        for _ in range(2):
            for token in rng.sample(self._world.tokens, len(self._world.tokens)):
                notes = self.payments.spendable(person, token.address)
                if len(notes) >= 2:
                    payment = self.payments.merging(person, token.address, notes)
                    return self.payments.settle(person, payment, step.by_command, rng)
            self._world.flush()
            person.sync()
        with pytest.raises(ConsolidationError, match="nothing to merge"):
            person.wallet.consolidate(rng.choice(self._world.tokens).address)
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
        token, notes = self.payments.rich_token(person)
        if not notes:
            return "too poor, " + self._deposit(person, step, rng)
        wallet = person.wallet
        before = wallet.balance(token)
        spend = self.payments.withdrawing(person, token, most(notes), rng).prepare()
        assert wallet.balance(token).reserved > before.reserved
        proved = rng.random() < 0.5
        if proved:
            wallet.prove(spend)
        wallet.abandon(spend)
        assert wallet.balance(token) == before
        return f"abandoned a payment {'with' if proved else 'without'} its proof"

    def _crash(self, person: Person, step: Step, rng: random.Random) -> str:
        token, notes = self.payments.rich_token(person)
        if not notes:
            return "too poor, " + self._deposit(person, step, rng)
        payment = self.payments.withdrawing(person, token, most(notes), rng)
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
        self.payments.keep(spend, payment)
        self.payments.resume(person, spend, payment)
        return "crash after the proof, then resumed"

    def _crash_after_sending(self, person: Person, payment: Payment) -> str:
        spend = payment.prepare()
        proof = person.wallet.prove(spend)
        with person.endpoint.lose_answer("eth_sendRawTransaction"), pytest.raises(NotMinedError) as error:
            person.wallet.submit(spend, proof)
        person.close()
        self._world.w3.eth.wait_for_transaction_receipt(HexBytes(error.value.transaction), poll_latency=0.02)
        self.payments.book_spend(error.value.transaction, payment, spend)
        # Without a look at the chain first the wallet does not know yet; sending again changes nothing.
        self.payments.resume_all(person)
        return "crash after sending"

    def _pay(self, person: Person, step: Step, rng: random.Random, payment: Callable[[str, int], Payment]) -> str:
        token, notes = self.payments.rich_token(person)
        if most(notes) < MOST_FEE + UNIT:
            return "too poor, " + self._deposit(person, step, rng)
        # What is left covers a relayer's fee.
        return self.payments.settle(person, payment(token, most(notes) - MOST_FEE), step.by_command, rng)
