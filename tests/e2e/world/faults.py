"""What goes wrong in the middle, and when it is repaired: the table of faults and the list of what is broken.

Each fault leaves a world that the following operations can use.
"""

import random
from collections.abc import Callable

from tests.e2e.world.blocks import Blocks
from tests.e2e.world.losses import Losses
from tests.e2e.world.outages import Outages
from tests.e2e.world.payments import Payments
from tests.e2e.world.repairs import Mend, Struck
from tests.e2e.world.setting import World

# In the order in which they strike when several do: a chain is not set back to before other blocks were replaced, and
# of two sequencers the one whose endpoint died is killed.
BEFORE = ("blocks replaced", "chain set back", "wallet restored", "relayer killed", "command killed")
AMID = ("endpoint dies", "indexer killed", "worker killed", "relayer restarted", "sequencer killed")
NAMES = BEFORE + AMID


class Faults:
    """`strike` does one of BEFORE while nobody acts, or one of AMID while people do; `mend` repairs what is due."""

    def __init__(self, world: World, payments: Payments, seed: int) -> None:
        self._world = world
        self._seed = seed
        self._due: list[tuple[int, str, Mend]] = []
        blocks = Blocks(world, payments)
        losses = Losses(world, payments, blocks)
        outages = Outages(world)
        self._all: dict[str, Callable[[random.Random], Struck]] = {
            "blocks replaced": blocks.replaced,
            "chain set back": blocks.set_back,
            "wallet restored": losses.wallet_restored,
            "relayer killed": losses.relayer_killed,
            "command killed": losses.command_killed,
            "endpoint dies": outages.endpoint_dies,
            "indexer killed": outages.indexer_killed,
            "worker killed": outages.worker_killed,
            "relayer restarted": outages.relayer_restarted,
            "sequencer killed": outages.sequencer_killed,
        }

    def strike(self, name: str, number: int) -> None:
        """At the operation `number`."""
        rng = random.Random(f"{self._seed} {name}")
        operations = rng.randint(3, 8)
        with self._world.telling(f"    {name}") as tell:
            struck = self._all[name](rng)
            if struck.mend is None:
                tell(struck.words)
                return
            self._due.append((number + operations, struck.until, struck.mend))
            tell(f"{struck.words}, for {operations} operations")

    def mend(self, number: int | None) -> None:
        """Repair what is due before operation `number`, everything when that is None."""
        for item in list(self._due):
            if number is None or item[0] <= number:
                self._due.remove(item)
                with self._world.telling(f"    {item[1]}") as tell:
                    tell(item[2]() or "mended")
