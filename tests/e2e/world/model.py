"""What everybody should own, in plain Python: a ledger of mined transactions and what each means by the rules alone.

Nothing here is taken from a wallet, an indexer or the pool's events. A transaction is known by its hash; that it stands
in a block is asked of the node, and asked again when blocks were replaced.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Entry:
    """One line of somebody's history; `counterparty` and `text` as `wallet.store.HistoryEntry` has them."""

    person: str
    kind: str
    token: str
    amount: int
    fee: int = 0
    counterparty: str = ""
    text: str = ""

    @property
    def change(self) -> int:
        """What it adds to the shielded balance."""
        if self.kind in ("deposited", "received"):
            return self.amount
        return -self.fee if self.kind == "merged" else -self.amount - self.fee


@dataclass(frozen=True)
class Effect:
    """A transaction that the pool accepted. `moved` are changes of public token balances by (holder, token).

    `outputs` are the commitments it queued (of a deposit the pre-commitment), which no other payment has: by them one
    that is sent again is known. `nullifiers` and `withdrawals` count what it put on chain, dummies included.
    """

    transaction: str
    block_hash: str
    entries: tuple[Entry, ...]
    moved: dict[tuple[str, str], int]
    outputs: tuple[int, ...]
    nullifiers: int = 0
    withdrawals: int = 0

    @property
    def commitments(self) -> int:
        return len(self.outputs)


BlockOf = Callable[[str], str | None]
"""The hash of the block that holds a transaction now, None where none does."""


@dataclass
class Model:
    """`minted` is what each public holder began with, by (holder, token)."""

    minted: dict[tuple[str, str], int] = field(default_factory=dict)
    settled: list[Effect] = field(default_factory=list)
    lost: list[Effect] = field(default_factory=list)

    def settle(self, effect: Effect) -> None:
        self.settled.append(effect)

    def settle_again(self, outputs: tuple[int, ...], transaction: str, block_hash: str) -> None:
        """A payment whose transaction was lost, sent again in another one."""
        (effect,) = [each for each in self.lost if each.outputs == outputs]
        self.lost.remove(effect)
        self.settled.append(replace(effect, transaction=transaction, block_hash=block_hash))

    def follow(self, block_of: BlockOf) -> list[Effect]:
        """Blocks were replaced: keep what still stands in one; returns what is lost."""
        kept, lost = [], []
        for effect in self.settled:
            block = block_of(effect.transaction)
            if block is None:
                lost.append(effect)
            else:
                kept.append(replace(effect, block_hash=block))
        self.settled = kept
        self.lost += lost
        return lost

    # What follows from it

    def balance(self, person: str, token: str) -> int:
        return sum(entry.change for entry in self._entries(person) if entry.token == token)

    def history(self, person: str) -> Counter[Entry]:
        return Counter(self._entries(person))

    def in_pool(self, token: str) -> int:
        return sum(entry.change for effect in self.settled for entry in effect.entries if entry.token == token)

    def public_balances(self) -> dict[tuple[str, str], int]:
        balances: defaultdict[tuple[str, str], int] = defaultdict(int, self.minted)
        for effect in self.settled:
            for holder, change in effect.moved.items():
                balances[holder] += change
        return dict(balances)

    def counts(self) -> dict[str, int]:
        """Of everything on chain."""
        return {
            name: sum(getattr(effect, name) for effect in self.settled)
            for name in ("commitments", "nullifiers", "withdrawals")
        }

    def _entries(self, person: str) -> list[Entry]:
        return [entry for effect in self.settled for entry in effect.entries if entry.person == person]
