"""Blocks are replaced: some transactions are lost with them, and everybody must come to agree on the new ones."""

import random
import time

from hexbytes import HexBytes

from tests.e2e.world import checks
from tests.e2e.world.payments import MOST_FEE, Payments, most
from tests.e2e.world.people import Person, everyone
from tests.e2e.world.repairs import Struck
from tests.e2e.world.setting import WAIT_SECONDS, World


class Blocks:
    """Strikes while nobody acts; services go on meanwhile."""

    def __init__(self, world: World, payments: Payments) -> None:
        self._world = world
        self._payments = payments

    def replaced(self, rng: random.Random) -> Struck:
        """Payments that no wallet has seen in a block yet, and some that were seen, are in blocks that are replaced.

        The first transaction of the lost blocks stands in another block afterwards.
        """
        world = self._world
        for person in world.people:
            person.do(self._pay_unseen, person, rng)
        depth = len(world.people) + rng.randint(0, 4)
        head = world.w3.eth.block_number
        blocks = [world.w3.eth.get_block(block) for block in range(head - depth + 1, head + 1)]
        lost = [HexBytes(shown).to_0x_hex() for block in blocks for shown in block["transactions"]]  # type: ignore[arg-type]
        kept = [[world.request("eth_getRawTransactionByHash", lost[0]), 1]] if lost else []
        world.request("anvil_reorg", depth, kept)
        return Struck(f"{depth} blocks, {self._reconcile()}")

    def set_back(self, rng: random.Random) -> Struck:
        """All blocks from here to some operations later are lost, and the chain goes on another way."""
        snapshot = self._world.request("evm_snapshot")

        def revert() -> str:
            world = self._world
            height = world.w3.eth.block_number
            assert world.request("evm_revert", snapshot)
            lost = height - world.w3.eth.block_number
            world.request("anvil_mine", hex(lost + 1))
            return f"{lost} blocks, {self._reconcile()}"

        return Struck("from here", "chain goes on from a former block", revert)

    def sent_again_by_relayer(self) -> int:
        """The relayer, if it runs, notices that blocks it saw a payment in are gone, and sends it again; not one that
        can only fail. Returns how many came back.
        """
        world, back = self._world, 0
        if world.services["relayer"].child is None:
            return 0
        deadline = time.monotonic() + WAIT_SECONDS
        given = world.given_to_relayer()
        with world.relayer() as relayer:
            for effect in [each for each in world.model.lost if each.transaction in given]:
                while (status := relayer.status(given[effect.transaction])).state != "failed":
                    block = world.block_of(status.transaction)
                    if status.state == "settled" and block is not None:
                        world.model.settle_again(effect.outputs, status.transaction, block)
                        back += 1
                        break
                    assert time.monotonic() < deadline, f"the relayer does not care for {status}"
                    time.sleep(0.05)
        return back

    def _pay_unseen(self, person: Person, rng: random.Random) -> None:
        """A payment whose block its wallet does not look at; some are sent by the relayer."""
        token, notes = self._payments.rich_token(person)
        if most(notes) <= MOST_FEE:
            return
        payment = self._payments.withdrawing(person, token, most(notes) - MOST_FEE, rng)
        if rng.random() < 0.5 and self._world.services["relayer"].child is not None:
            self._payments.relayed(person, payment)
        else:
            self._payments.alone(person, payment)

    def _reconcile(self) -> str:
        """Have the model follow the chain and every wallet send again what was not settled; then all must agree."""
        world = self._world
        lost = world.model.follow(world.block_of)
        for entry in [entry for effect in lost for entry in effect.entries if entry.kind == "received"]:
            # Nobody paid to this address now: give it out again, before too many in a row stay unused.
            for person in [each for each in world.people if each.name == entry.person]:
                person.unused.insert(0, person.issued[int(entry.counterparty)])
        back = self.sent_again_by_relayer()
        sent = sum(everyone(world.people, self._resume))
        checks.everything_agrees(world)
        return f"{len(lost)} transactions lost, {sent} sent again by wallets, {back} by the relayer"

    def _resume(self, person: Person) -> int:
        person.sync()
        return self._payments.resume_all(person)
