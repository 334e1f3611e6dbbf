"""The command's root: it lists everything and loads nothing it does not need."""

import importlib
import json
import subprocess
import sys

import pytest

from gelap.cli import MOUNTS

HEAVY = ("numba", "web3", "celery", "grpc", "cupy", "sqlalchemy")


def gelap(*arguments: str, prelude: str = "", epilogue: str = "") -> subprocess.CompletedProcess:
    program = f"""
import sys
sys.argv = ["gelap", *{list(arguments)!r}]
{prelude}
from gelap.cli import main
try:
    main()
except SystemExit as stop:
    code = stop.code or 0
{epilogue}
sys.exit(code)
"""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)


def test_help_names_every_command_and_loads_no_heavy_package():
    loaded = f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    result = gelap("--help", epilogue=loaded)
    assert result.returncode == 0
    assert "LOADED []" in result.stdout
    for name in MOUNTS:
        assert name in result.stdout


@pytest.mark.parametrize("name", MOUNTS)
def test_every_command_exists_and_has_help(name):
    mount = MOUNTS[name]
    assert hasattr(importlib.import_module(mount.module), mount.attribute)
    result = gelap(name, "--help")
    assert result.returncode == 0, result.stderr
    assert "Usage" in result.stdout


def test_an_unknown_command_exits_2_without_a_traceback():
    result = gelap("conjure")
    assert result.returncode == 2
    assert "No such command" in result.stderr
    assert "Traceback" not in result.stderr


def test_version_prints_the_distribution_version():
    from importlib.metadata import version

    result = gelap("--version")
    assert result.returncode == 0
    assert result.stdout.strip() == f"gelap {version('gelap')}"


def test_info_names_the_cpu_path_and_why(monkeypatch):
    monkeypatch.setenv("GELAP_CPU_PATH", "scalar")
    result = gelap("info", "--json")
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["cpu path"] == "scalar: GELAP_CPU_PATH=scalar"
    assert {"cpu", "gpu", "kernel cache", "circuits with keys"} <= set(facts)


def test_info_refuses_an_unknown_cpu_path_in_one_line(monkeypatch):
    monkeypatch.setenv("GELAP_CPU_PATH", "warp")
    result = gelap("info")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "GELAP_CPU_PATH must be auto, ifma or scalar" in result.stderr
