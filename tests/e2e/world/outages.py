"""Services go away while people act: an endpoint, the indexer, a worker, a sequencer, the relayer."""

import random
import time

import pytest

from chain.errors import RpcError
from chain.rpc import connect
from tests.e2e.world import checks
from tests.e2e.world.repairs import Struck
from tests.e2e.world.setting import World

# A fault falls into the first so many seconds of a round.
MOMENTS = 0.8
# A proof is asked for so soon, unless nobody in this round wants one.
PROOF_SECONDS = 3.0


class Outages:
    """Each strikes at some moment of a round, in the main thread: processes end with the thread that started them."""

    def __init__(self, world: World) -> None:
        self._world = world

    def endpoint_dies(self, rng: random.Random) -> Struck:
        _some_time_passes(rng)
        endpoint = self._world.endpoint
        endpoint.kill()
        with pytest.raises(RpcError):
            connect(endpoint.url)
        return Struck("refuses connections", "endpoint is back", endpoint.revive)

    def indexer_killed(self, rng: random.Random) -> Struck:
        _some_time_passes(rng)
        indexer = self._world.services["indexer"]
        indexer.kill()

        def restart() -> None:
            indexer.start()
            checks.everything_agrees(self._world)

        return Struck("gone", "indexer is back", restart)

    def worker_killed(self, rng: random.Random) -> Struck:
        """The one that works harder, when a proof was asked for: the other worker proves that again when its lease is
        over.
        """
        world = self._world
        before = self._taken_in()
        world.pass_time(120)  # what waits for the tree is proved now
        deadline = time.monotonic() + PROOF_SECONDS
        while self._taken_in() == before and time.monotonic() < deadline:
            time.sleep(0.01)
        workers = [world.services[name] for name in ("worker 1", "worker 2")]
        started = [worker.cpu_seconds() for worker in workers]
        time.sleep(0.06)
        spent = [worker.cpu_seconds() - start for worker, start in zip(workers, started, strict=True)]
        worker = workers[spent.index(max(spent))]
        worker.kill()
        return Struck(worker.name, f"{worker.name} is back", worker.start)

    def _taken_in(self) -> int:
        return sum(line["event"] == "job taken in" for line in self._world.services["gateway"].events())

    def relayer_restarted(self, rng: random.Random) -> Struck:
        _some_time_passes(rng)
        relayer = self._world.services["relayer"]
        if relayer.child is not None:
            relayer.stop()
            relayer.start()
            return Struck("it ended in order")
        return Struck("it was away")

    def sequencer_killed(self, rng: random.Random) -> Struck:
        """One of them; where the first has lost its endpoint it is that one."""
        _some_time_passes(rng)
        names = ("sequencer 1", "sequencer 2") if self._world.endpoint.alive else ("sequencer 1",)
        sequencer = self._world.services[rng.choice(names)]
        sequencer.kill()
        return Struck(sequencer.name, f"{sequencer.name} is back", sequencer.start)


def _some_time_passes(rng: random.Random) -> None:
    time.sleep(rng.uniform(0, MOMENTS))
