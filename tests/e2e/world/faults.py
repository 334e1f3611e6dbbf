"""What goes wrong in the middle: blocks are replaced, an endpoint dies, processes are killed, a wallet is lost.

Each fault leaves a world that the following operations can use, and says when what it broke is to be mended.
"""

import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hexbytes import HexBytes

from chain.errors import RelayerError, RpcError
from chain.rpc import connect
from tests.e2e.world import checks
from tests.e2e.world.model import Entry
from tests.e2e.world.payments import MOST_FEE, Payments, most
from tests.e2e.world.people import Person
from tests.e2e.world.setting import UNIT, World

WAIT_SECONDS = 60.0
Mend = Callable[[], str | None]


class Faults:
    """`strike` does one by name; `mend` repairs what is due, everything when `number` is None."""

    def __init__(self, world: World, payments: Payments, rng: random.Random) -> None:
        self._world = world
        self._payments = payments
        self._rng = rng
        self._due: list[tuple[int, str, Mend]] = []
        self._all: dict[str, Callable[[int], str]] = {
            "blocks replaced": self._replace_blocks,
            "chain set back": self._set_back,
            "endpoint dies": self._kill_endpoint,
            "indexer killed": self._kill_indexer,
            "worker killed": self._kill_worker,
            "relayer killed": self._kill_relayer,
            "relayer restarted": self._restart_relayer,
            "sequencer killed": self._kill_sequencer,
            "wallet restored": self._restore_wallet,
            "command killed": self._kill_command,
        }

    @property
    def names(self) -> list[str]:
        return list(self._all)

    def strike(self, name: str, number: int) -> None:
        with self._world.telling(f"    {name}") as tell:
            tell(self._all[name](number))

    def mend(self, number: int | None) -> None:
        """Repair what is due before operation `number`."""
        for item in list(self._due):
            if number is None or item[0] <= number:
                self._due.remove(item)
                with self._world.telling(f"    {item[1]}") as tell:
                    tell(item[2]() or "mended")

    def _later(self, number: int, within: tuple[int, int], name: str, mend: Mend) -> str:
        steps = self._rng.randint(*within)
        self._due.append((number + steps, name, mend))
        return f"for {steps} operations"

    # The chain

    def _replace_blocks(self, number: int) -> str:
        """Payments that no wallet has seen in a block yet, and some that were seen, are in blocks that are replaced.

        The first transaction of the lost blocks stands in another block afterwards.
        """
        world = self._world
        for person in world.people:
            self._pay_unseen(person)
        depth = len(world.people) + self._rng.randint(0, 4)
        head = world.w3.eth.block_number
        blocks = [world.w3.eth.get_block(block) for block in range(head - depth + 1, head + 1)]
        lost = [HexBytes(shown).to_0x_hex() for block in blocks for shown in block["transactions"]]  # type: ignore[arg-type]
        kept = [[world.request("eth_getRawTransactionByHash", lost[0]), 1]] if lost else []
        world.request("anvil_reorg", depth, kept)
        return f"{depth} blocks, {self._reconcile()}"

    def _set_back(self, number: int) -> str:
        """All blocks from here to some operations later are lost, and the chain goes on another way."""
        snapshot = self._world.request("evm_snapshot")

        def revert() -> str:
            world = self._world
            height = world.w3.eth.block_number
            assert world.request("evm_revert", snapshot)
            lost = height - world.w3.eth.block_number
            world.request("anvil_mine", hex(lost + 1))
            return f"{lost} blocks, {self._reconcile()}"

        return self._later(number, (3, 6), "chain goes on from a former block", revert)

    def _pay_unseen(self, person: Person) -> None:
        """A payment whose block its wallet does not look at; some are sent by the relayer."""
        token, notes = self._payments.rich_token(person)
        if most(notes) <= MOST_FEE:
            return
        payment = self._payments.withdrawing(person, token, most(notes) - MOST_FEE, self._rng)
        if self._rng.random() < 0.5:
            self._payments.relayed(person, payment)
        else:
            settled = payment.make()
            self._payments.book_spend(settled.receipt.tx_hash, payment, settled.spend)

    def _relayer_sends_again(self) -> int:
        """The relayer notices that blocks it saw a payment in are gone, and sends it again; not one that can only fail.

        Returns how many came back.
        """
        world, back = self._world, 0
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

    def _reconcile(self) -> str:
        """Have the model follow the chain and every wallet send again what was not settled; then all must agree."""
        world = self._world
        lost = world.model.follow(world.block_of)
        for entry in [entry for effect in lost for entry in effect.entries if entry.kind == "received"]:
            # Nobody paid to this address now: give it out again, before too many in a row stay unused.
            for person in [each for each in world.people if each.name == entry.person]:
                person.unused.insert(0, person.issued[int(entry.counterparty)])
        back = self._relayer_sends_again()
        sent = 0
        for person in world.people:
            person.sync()
            sent += self._payments.resume_all(person)
        for person in world.people:
            checks.balances_agree(world, person)
        checks.everything_agrees(world)
        return f"{len(lost)} transactions lost, {sent} sent again by wallets, {back} by the relayer"

    # Endpoints and processes

    def _kill_endpoint(self, number: int) -> str:
        self._world.endpoint.kill()
        with pytest.raises(RpcError):
            connect(self._world.endpoint.url)
        return self._later(number, (5, 9), "endpoint is back", self._world.endpoint.revive)

    def _kill_indexer(self, number: int) -> str:
        indexer = self._world.services["indexer"]
        indexer.kill()

        def restart() -> None:
            indexer.start()
            checks.everything_agrees(self._world)

        return self._later(number, (4, 8), "indexer is back", restart)

    def _kill_worker(self, number: int) -> str:
        """While it proves a tree update for a sequencer; the other worker proves that again when its lease is over."""
        world = self._world
        if not world.direct.pending_count():
            person, token = world.people[0], world.tokens[0].address
            receipt = person.wallet.deposit(token, UNIT)
            entry = Entry(person.name, "deposited", token, UNIT, counterparty=person.payer.address)
            world.settled(receipt.tx_hash, [entry], {(person.payer.address, token): -UNIT})
        before = self._taken_in()
        world.pass_time(120)
        deadline = time.monotonic() + WAIT_SECONDS
        while self._taken_in() == before:
            assert time.monotonic() < deadline, "no tree update is being proved"
            time.sleep(0.01)
        workers = [world.services[name] for name in ("worker 1", "worker 2")]
        started = [worker.cpu_seconds() for worker in workers]
        time.sleep(0.06)
        spent = [worker.cpu_seconds() - start for worker, start in zip(workers, started, strict=True)]
        worker = workers[spent.index(max(spent))]
        worker.kill()
        return f"{worker.name}, {self._later(number, (3, 6), f'{worker.name} is back', worker.start)}"

    def _taken_in(self) -> int:
        return sum(line["event"] == "job taken in" for line in self._world.services["gateway"].events())

    def _kill_relayer(self, number: int) -> str:
        """Between its quote and the proof: the wallet keeps the payment, and sends it through the relayer once it is
        back, or by itself; the fee is in the proof and paid either way.
        """
        world = self._world
        relayer = world.services["relayer"]
        person = self._rng.choice(world.people)
        token, notes = self._payments.rich_token(person)
        if most(notes) <= MOST_FEE:
            relayer.kill()
            return self._later(number, (3, 6), "relayer is back", relayer.start)
        payment = self._payments.withdrawing(person, token, most(notes) - MOST_FEE, self._rng)
        with world.relayer() as client:
            quote = client.quote(person.wallet.pool, token, payment.kind)
            spend = payment.prepare(quote=quote, max_fee=MOST_FEE)
            proof = person.wallet.prove(spend)
            relayer.kill()
            with pytest.raises(RelayerError) as error:
                person.wallet.submit(spend, proof, via=client, quote=quote)
        assert error.value.code == "unreachable"
        self._payments.keep(spend, payment)
        if self._rng.random() < 0.5:
            self._payments.resume(person, spend, payment)
            return self._later(number, (3, 6), "relayer is back", relayer.start)

        def resume() -> str:
            relayer.start()
            with world.relayer() as client:
                self._payments.resume(person, spend, payment, via=client)
            return "and settles what it was to settle"

        return self._later(number, (3, 6), "relayer is back", resume)

    def _restart_relayer(self, number: int) -> str:
        relayer = self._world.services["relayer"]
        relayer.stop()
        relayer.start()
        return "it ended in order"

    def _kill_sequencer(self, number: int) -> str:
        sequencer = self._world.services[self._rng.choice(("sequencer 1", "sequencer 2"))]
        sequencer.kill()
        return self._later(number, (4, 8), f"{sequencer.name} is back", sequencer.start)

    # Wallets

    def _restore_wallet(self, number: int) -> str:
        """An empty folder, the mnemonic and the chain give the same balances and history; it is used from then on."""
        world = self._world
        world.flush()
        index = self._rng.randrange(len(world.people))
        person = world.people[index]
        person.close()
        folder = Path(f"{person.folder}-restored-{number}")
        restored = replace(person, folder=folder, issued=[], unused=[])
        restored.prepare_commands()
        restored.command("import", "--mnemonic-file", str(folder / "words"))
        restored.command("sync", *restored.here)
        checks.commands_agree(world, restored, person.name)
        checks.wallet_agrees(world, person.name, restored.wallet)
        # Addresses that nobody paid to leave no trace on the chain: those beyond the last paid one are not known.
        restored.issued = [address for address, _ in restored.wallet.addresses()]
        assert restored.issued == person.issued[: len(restored.issued)]
        restored.unused = [address for address in person.unused if address in restored.issued]
        world.people[index] = restored
        return f"{person.name}'s"

    def _kill_command(self, number: int) -> str:
        """`gelap wallet withdraw` is killed when it has its proof and sends: `gelap wallet resume` settles it."""
        world = self._world
        for person in self._rng.sample([each for each in world.people if not each.others], 2):
            token, notes = self._payments.rich_token(person)
            if most(notes) >= UNIT:
                break
        payment = self._payments.withdrawing(person, token, most(notes), self._rng)
        with person.endpoint.hold("eth_sendRawTransaction"):
            process = person.start(*payment.command, "--yes")
            try:
                assert person.endpoint.caught.wait(WAIT_SECONDS), "the command sent nothing"
            finally:
                process.kill()
                process.communicate()
        payments = person.command("status")["result"]["payments"]
        (waiting,) = [found for found in payments if found["stage"] == "proved"]
        assert waiting["to"] == payment.command[1]
        (resumed,) = person.command("resume", "--yes")["result"]["payments"]
        assert resumed["problem"] == "", resumed
        self._payments.book(resumed["transaction"], payment, taken=1)
        return f"{person.name}'s, and resumed"
