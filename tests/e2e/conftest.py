"""The seed of a run: drawn anew each time, printed when a run fails, and set by GELAP_E2E_SEED."""

import os
import secrets

import pytest


@pytest.fixture
def seed() -> int:
    chosen = int(os.environ.get("GELAP_E2E_SEED") or secrets.randbelow(10**6))
    print(f"GELAP_E2E_SEED={chosen}")
    return chosen
