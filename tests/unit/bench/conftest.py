import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gelap.cli import app
from prover.cache import cache_directory


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory) -> Path:
    """A cache directory without keys, but with this machine's compiled kernels."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "kernels").symlink_to(cache_directory() / "kernels")
    return folder


@pytest.fixture(scope="module")
def bench(own_cache):
    """Run `gelap bench` with small sizes; children write to the test's own stderr."""

    def run(*arguments: object):
        environment = {**os.environ, "GELAP_CACHE_DIR": str(own_cache)}
        result = CliRunner().invoke(app, ["bench", *map(str, arguments)], env=environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run
