"""Write the Python stubs of prover.proto: `python proto/generate.py` (needs grpcio-tools, a development dependency)."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STUBS = ("prover_pb2.py", "prover_pb2.pyi", "prover_pb2_grpc.py")


def generate(folder: Path) -> None:
    """Write the stubs to `folder`/proto. Raises RuntimeError when the compiler refuses prover.proto."""
    import grpc_tools
    from grpc_tools import protoc

    # From the root and by this path: it becomes the import path `proto.prover_pb2` inside the stubs.
    status = protoc.main(
        [
            "protoc",
            f"--proto_path={ROOT}",
            f"--proto_path={Path(grpc_tools.__file__).parent / '_proto'}",
            f"--python_out={folder}",
            f"--pyi_out={folder}",
            f"--grpc_python_out={folder}",
            "proto/prover.proto",
        ]
    )
    if status != 0:
        raise RuntimeError(f"protoc ended with status {status}")


if __name__ == "__main__":
    generate(ROOT)
    sys.stderr.write("wrote " + ", ".join(f"proto/{name}" for name in STUBS) + "\n")
