"""Two accounts and a chain made of events alone."""

# Fixtures of the wallet's own tests.
from tests.unit.wallet.conftest import alice, bob, events, scan, store

__all__ = ["alice", "bob", "events", "scan", "store"]
