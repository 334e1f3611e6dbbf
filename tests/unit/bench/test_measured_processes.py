"""Time and memory of other programs, and what happens when they fail."""

import json
import os
import subprocess
import sys

import pytest

from bench.errors import ChildError
from bench.processes import confined, run_measured


def python(program: str, threads: int = 1):
    return run_measured([sys.executable, "-S", "-c", program], dict(os.environ), threads)


def measured_from_a_small_process(program: str) -> dict[str, float]:
    """As `python`, from a process of its own: the peak counts from before the exec, and this one is large."""
    script = f"""
import json, os, sys
from dataclasses import asdict
from bench.processes import run_measured
print(json.dumps(asdict(run_measured([sys.executable, "-S", "-c", {program!r}], dict(os.environ), 1))))
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300)
    return json.loads(result.stdout)


def test_time_and_memory_are_those_of_the_program():
    idle = measured_from_a_small_process("import time; time.sleep(0.2)")
    assert 0.2 <= idle["seconds"] < 100
    block = 200 << 20
    full = measured_from_a_small_process(f"import time; block = b'1' * {block}; time.sleep(0.3)")
    assert full["peak_bytes"] >= idle["peak_bytes"] + block * 0.9
    assert block <= full["peak_private_bytes"] <= full["peak_bytes"]


def test_programs_are_confined_to_as_many_cpus_as_asked_for():
    before = os.sched_getaffinity(0)
    python("import os, sys; sys.exit(len(os.sched_getaffinity(0)) != 1)", threads=1)
    assert os.sched_getaffinity(0) == before
    with confined(len(before)):
        assert os.sched_getaffinity(0) == before


def test_a_program_that_fails_is_reported_with_its_last_words():
    with pytest.raises(ChildError, match=r"python.* failed: no such key"):
        python("import sys; print('working', flush=True); sys.exit('no such key')")


def test_no_process_is_left_behind_when_the_measurement_is_interrupted(monkeypatch, tmp_path):
    started = tmp_path / "pid"

    def interrupt(pid: int, options: int) -> None:
        started.write_text(str(pid))
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "wait4", interrupt)
    with pytest.raises(KeyboardInterrupt):
        python("import time; time.sleep(60)")
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)
