"""What holds for all tests: a caller's own settings do not reach them, and none fails because a machine is busy."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes, or the drawing of one, says how busy the machine is.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# A relayer, an indexer or a proxy that the caller has named would be asked by the commands under test, and spans would
# be sent to whoever collects them. Kept is where compiled kernels, keys and programs are, how long the test of the
# whole product runs, and whether a test gets a second try.
KEPT = ("GELAP_CACHE_DIR", "GELAP_KEY_DIR", "GELAP_ANVIL", "GELAP_CPU_PATH", "GELAP_SECOND_TRY")
KEPT_GROUPS = ("GELAP_E2E_",)
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")

for _name in list(os.environ):
    if _name in KEPT or _name.startswith(KEPT_GROUPS):
        continue
    if _name.startswith(("GELAP_", "OTEL_")) or _name.lower() in PROXIES:
        del os.environ[_name]

# Processes are started here while gRPC clients are open, by a fork with work before the program takes over. gRPC's own
# threads, which it starts again after a fork, find their files closed then, and end one such process in twenty by
# SIGABRT, before it is the program that was meant.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"


# These run real processes, nodes and databases.
MAY_BE_TRIED_TWICE = [Path(__file__).parent / name for name in ("service", "e2e")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With GELAP_SECOND_TRY=1, as in CI, such a test that fails is tried again. The summary names it all the same: it
    is a defect, of the test or of what it tests.
    """
    if os.environ.get("GELAP_SECOND_TRY") == "1":
        for item in items:
            if any(item.path.is_relative_to(folder) for folder in MAY_BE_TRIED_TWICE):
                item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How the first try failed of what was tried again; pytest tells that of the last one only."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"first try of {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)


@pytest.fixture(autouse=True)
def _own_logs() -> Iterator[None]:
    """A command that ran in this process leaves a handler that writes to a stream which is closed by then: a thread of
    a later test would end at its next line.
    """
    root = logging.getLogger()
    level, before = root.level, list(root.handlers)
    yield
    if root.handlers != before:
        root.setLevel(level)
        root.handlers = [handler for handler in root.handlers if handler in before]
        logging.captureWarnings(False)
