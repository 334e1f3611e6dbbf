"""The gRPC interface of the proving cluster: `prover.proto`, its generated stubs, and a typed client."""

from pathlib import Path

if (Path(__file__).parent / "marshal").exists():
    raise ImportError(
        "the package proto-plus is installed over Gelap's own `proto` folder: both use that name. "
        "Install Gelap in an environment of its own (or `pip uninstall proto-plus`, then install Gelap again)"
    )
