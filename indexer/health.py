"""How the follower of each chain is doing, for the probes: written by its thread, read by the API's."""

import threading
from enum import StrEnum
from typing import NamedTuple


class Phase(StrEnum):
    """STARTING until a first round of reading is over; HALTED and STOPPED are final."""

    STARTING = "starting"
    FOLLOWING = "following"
    WAITING = "waiting"
    HALTED = "halted"
    STOPPED = "stopped"


class ChainHealth(NamedTuple):
    """`reason` says why it waits or halted, in words for operators; endpoints are named by host only."""

    phase: Phase
    reason: str | None = None


class Health:
    """One entry per chain that this process follows, by the chain's name; none where it only serves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._chains: dict[str, ChainHealth] = {}

    def set(self, name: str, phase: Phase, reason: str | None = None) -> None:
        with self._lock:
            self._chains[name] = ChainHealth(phase, reason)

    def of(self, name: str) -> ChainHealth | None:
        """None for a chain that another process follows, or nobody."""
        with self._lock:
            return self._chains.get(name)
