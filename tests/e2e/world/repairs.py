"""What a fault says of itself: what it did, and how that is repaired some operations later."""

from collections.abc import Callable
from dataclasses import dataclass

Mend = Callable[[], str | None]
"""Repairs it, and may say what came of it."""


@dataclass(frozen=True)
class Struck:
    """`mend` is None where nothing stays broken; `until` names the repair."""

    words: str
    until: str = ""
    mend: Mend | None = None
