"""A wallet is a thin client: it loads the proving engine only when it is told to prove on its own machine."""

import subprocess
import sys

HEAVY = ("prover", "numba", "celery", "redis", "gateway", "worker")


def test_a_wallet_loads_neither_engine_nor_cluster() -> None:
    script = (
        "import sys, wallet.wallet, wallet.proving, chain.sequencer, chain.deploy\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "chain" in loaded
    assert [name for name in HEAVY if name in loaded] == []
