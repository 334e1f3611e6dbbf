"""People lose something between two operations: their relayer in the middle of a payment, their wallet's folder, or a
command that was about to send.
"""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from chain.errors import RelayerError
from tests.e2e.world import checks
from tests.e2e.world.blocks import Blocks
from tests.e2e.world.payments import MOST_FEE, Payments
from tests.e2e.world.people import Person
from tests.e2e.world.repairs import Struck
from tests.e2e.world.setting import UNIT, WAIT_SECONDS, World


class Losses:
    """Strikes while nobody acts."""

    def __init__(self, world: World, payments: Payments, blocks: Blocks) -> None:
        self._world = world
        self._payments = payments
        self._blocks = blocks
        self._restored = 0

    def relayer_killed(self, rng: random.Random) -> Struck:
        """Between its quote and the proof: the wallet keeps the payment, and sends it through the relayer once it is
        back, or by itself; the fee is in the proof and paid either way.
        """
        person = rng.choice(self._world.people)
        return person.do(self._relayer_killed, person, rng)

    def _relayer_killed(self, person: Person, rng: random.Random) -> Struck:
        world = self._world
        relayer = world.services["relayer"]
        token, up_to = self._payments.funds(person, MOST_FEE + UNIT)
        payment = self._payments.withdrawing(person, token, up_to - MOST_FEE, rng)
        with world.relayer() as client:
            quote = client.quote(person.wallet.pool, token, payment.kind)
            spend = payment.prepare(quote=quote, max_fee=MOST_FEE)
            proof = person.wallet.prove(spend)
            relayer.kill()
            with pytest.raises(RelayerError) as error:
                person.wallet.submit(spend, proof, via=client, quote=quote)
        assert error.value.code == "unreachable"
        self._payments.keep(person, spend, payment)
        alone = rng.random() < 0.5
        if alone:
            assert self._payments.resume(person, spend)

        def back() -> str:
            relayer.start()
            self._blocks.sent_again_by_relayer()
            if alone:
                return "mended"
            (owner,) = [each for each in world.people if each.name == person.name]
            with world.relayer() as client:
                settled = owner.do(self._payments.resume, owner, spend, client)
            return f"and {'settles what it was to settle' if settled else 'what it was to settle is over'}"

        return Struck(f"{person.name}'s payment is {'resumed' if alone else 'kept'}", "relayer is back", back)

    def wallet_restored(self, rng: random.Random) -> Struck:
        """An empty folder, the mnemonic and the chain give the same balances and history; it is used from then on."""
        world = self._world
        world.flush()
        index = rng.randrange(len(world.people))
        person = world.people[index]
        self._restored += 1
        world.people[index] = person.do(self._restore, person, Path(f"{person.folder}-restored-{self._restored}"))
        return Struck(f"{person.name}'s")

    def _restore(self, person: Person, folder: Path) -> Person:
        person.close()
        restored = replace(person, folder=folder, issued=[], unused=[])
        restored.prepare_commands()
        restored.command("import", "--mnemonic-file", str(folder / "words"))
        restored.command("sync", *restored.here)
        checks.commands_agree(self._world, restored, person.name)
        checks.wallet_agrees(self._world, person.name, restored.wallet)
        # Addresses that nobody paid to leave no trace on the chain: those beyond the last paid one are not known.
        restored.issued = [address for address, _ in restored.wallet.addresses()]
        assert restored.issued == person.issued[: len(restored.issued)]
        restored.unused = [address for address in person.unused if address in restored.issued]
        return restored

    def command_killed(self, rng: random.Random) -> Struck:
        """`gelap wallet withdraw` is killed when it has its proof and sends: `gelap wallet resume` settles it."""
        # A request that fails at one endpoint would go to another.
        person = rng.choice([each for each in self._world.people if not each.others])
        return person.do(self._command_killed, person, rng)

    def _command_killed(self, person: Person, rng: random.Random) -> Struck:
        token, up_to = self._payments.funds(person, UNIT)
        payment = self._payments.withdrawing(person, token, up_to, rng)
        with person.endpoint.hold("eth_sendRawTransaction"):
            process = person.start(*payment.command, "--yes")
            try:
                assert person.endpoint.caught.wait(WAIT_SECONDS), "the command sent nothing"
            finally:
                process.kill()
                process.communicate()
        receiver = payment.command[1]
        (waiting,) = [found for found in person.command("status")["result"]["payments"] if found["to"] == receiver]
        assert waiting["stage"] == "proved"
        resumed = person.command("resume", "--yes")["result"]["payments"]
        settled = {
            found["transaction"]: self._world.call(found["transaction"])[1] for found in resumed if not found["problem"]
        }
        (ours,) = [transaction for transaction, call in settled.items() if call["spend"]["receiver"] == receiver]
        self._payments.book(person, ours, payment)
        for transaction in settled.keys() - {ours}:
            self._payments.sent_again(person, transaction)
        return Struck(f"{person.name}'s, and resumed")
