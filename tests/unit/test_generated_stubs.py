"""The committed gRPC stubs are what prover.proto says, and nothing else stands in for the package that holds them."""

import importlib.util
import re
import sys

import pytest

from gelap.proto_clash import ProtoClashError, require_own_proto
from proto import generate

# Which release of the compiler wrote a file; the rest of it does not depend on that.
VERSION_LINES = re.compile(r"^# Protobuf Python Version.*$|^    \d+,$|^GRPC_GENERATED_VERSION = .*$", re.MULTILINE)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stubs")
    generate.generate(folder)
    return folder / "proto"


@pytest.mark.parametrize("name", generate.STUBS)
def test_a_committed_stub_is_what_the_compiler_makes_of_prover_proto(fresh, name):
    committed = (generate.ROOT / "proto" / name).read_text()
    assert VERSION_LINES.sub("", committed) == VERSION_LINES.sub("", (fresh / name).read_text()), (
        "prover.proto and its stubs differ: run `make proto`"
    )


@pytest.fixture
def only_path(tmp_path, monkeypatch):
    """Look for packages in an empty folder only."""
    for name in [name for name in sys.modules if name == "proto" or name.startswith("proto.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(sys, "meta_path", [importlib.machinery.PathFinder])
    return tmp_path


def test_our_package_is_found():
    require_own_proto()


def test_a_missing_package_is_named(only_path):
    with pytest.raises(ProtoClashError, match="not installed"):
        require_own_proto()


def test_proto_plus_found_first_is_named(only_path):
    (only_path / "proto" / "marshal").mkdir(parents=True)
    (only_path / "proto" / "__init__.py").write_text("")
    with pytest.raises(ProtoClashError, match=r"finds .*proto-plus"):
        require_own_proto()


def test_proto_plus_installed_over_ours_is_named(only_path):
    (only_path / "proto" / "marshal").mkdir(parents=True)
    (only_path / "proto" / "prover.proto").write_text("")
    own = (generate.ROOT / "proto" / "__init__.py").read_text()
    (only_path / "proto" / "__init__.py").write_text(own)
    with pytest.raises(ProtoClashError, match="over Gelap's own files"):
        require_own_proto()
    with pytest.raises(ImportError, match="proto-plus is installed over"):
        importlib.import_module("proto")
