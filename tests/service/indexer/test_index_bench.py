"""`gelap bench index` times catching up and pages, server and clients in processes of their own."""

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_pages_are_timed_for_each_number_of_clients(database: str) -> None:
    command = [sys.executable, "-m", "gelap.cli", "bench", "index", "--database", database, "--json", "-"]
    command += ["--commitments", "2000", "--requests", "10", "--repeat", "1", "--clients", "1", "--clients", "2"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr
    catch_up, *pages = json.loads(ended.stdout)["results"]
    assert (catch_up["case"]["database"], catch_up["size"] >= 2_000) == (database, True)
    assert [(page["case"]["clients"], len(page["seconds"])) for page in pages] == [("1", 10), ("2", 20)]
    for page in pages:
        milliseconds = sorted(1000 * seconds for seconds in page["seconds"])
        assert milliseconds[0] <= page["details"]["p50_ms"] <= page["details"]["p99_ms"] <= milliseconds[-1]
