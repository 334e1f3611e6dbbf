"""Says clearly when the package proto-plus, which also installs a folder `proto`, stands in for ours."""

import importlib.util
from pathlib import Path


class ProtoClashError(Exception):
    """`import proto` finds another package than Gelap's; the message says what to do."""


def require_own_proto() -> None:
    """Raise ProtoClashError unless `import proto` finds Gelap's package, and only Gelap's."""
    spec = importlib.util.find_spec("proto")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    if not any((folder / "prover.proto").exists() for folder in folders):
        where = f"`import proto` finds {folders[0]}" if folders else "Gelap's package `proto` is not installed"
    elif any((folder / "marshal").exists() for folder in folders):
        where = f"proto-plus is installed over Gelap's own files in {folders[0]}"
    else:
        return
    raise ProtoClashError(
        f"{where}. The package proto-plus uses the same folder name: install Gelap in an environment of its own "
        "(or `pip uninstall proto-plus`, then install Gelap again)"
    )
