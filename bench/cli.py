"""`gelap bench`: how fast this machine is, told with what is needed to believe it."""

import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bench import machine, options, peers, plot, tables, whole_process
from bench.child import run_task
from bench.errors import BenchError, ChildError
from bench.load import OtherLoad
from bench.result import Report, Result
from prover.command import MALFORMED, fail, reported_errors
from prover.formats.files import atomic_write

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Time the prover on this machine.")

WIDTH = 150

Sizes = Annotated[str, typer.Option(help="Sizes, such as 1000,2^14.")]
Threads = Annotated[
    list[int] | None,
    typer.Option(help="CPUs to use; repeat to compare. Default: all.", show_default=False),
]
Repeat = Annotated[int, typer.Option(min=1, max=1000, help="Runs of each measurement, after one not counted.")]
Path_ = Annotated[
    list[str] | None,
    typer.Option("--path", help="Arithmetic: auto, ifma or scalar; repeat to compare.", show_default=False),
]
Json = Annotated[
    str | None, typer.Option("--json", help="Write all runs as JSON to this file; - for stdout.", show_default=False)
]
Plot = Annotated[
    Path | None, typer.Option("--plot", help="Draw time against size into this PNG file.", show_default=False)
]
Device = Annotated[
    str,
    typer.Option(
        help="cpu, or cuda, cuda:N: a GPU, in one process, by device events; --threads and --path are the CPU's."
    ),
]
Batches = Annotated[
    str, typer.Option("--batch", help="Proofs over the same bases, or polynomials, on a GPU; such as 1,64.")
]
Circuits = Annotated[
    list[str] | None,
    typer.Option(
        "--circuit",
        help="spend, insert or chain:N, a Poseidon chain of N constraints such as chain:250k; repeat for more.",
        show_default="spend",
    ),
]


@app.command("field")
def field_command(
    sizes: Sizes = "2^10,2^16,2^20",
    threads: Threads = None,
    path: Path_ = None,
    repeat: Repeat = 5,
    json_file: Json = None,
    plot_file: Plot = None,
) -> None:
    """Time arithmetic over vectors in the scalar field."""
    with _reporting("field", json_file, plot_file, repeat=repeat, sizes=sizes) as report:
        arguments = {"sizes": options.sizes(sizes), "runs": repeat}
        report.results += _on_each_path("field", arguments, path, threads)


@app.command()
def ntt(
    sizes: Sizes = "2^10,2^15,2^18",
    device: Device = "cpu",
    batch: Batches = "1",
    threads: Threads = None,
    path: Path_ = None,
    repeat: Repeat = 5,
    json_file: Json = None,
    plot_file: Plot = None,
) -> None:
    """Time number-theoretic transforms."""
    with _reporting("ntt", json_file, plot_file, repeat=repeat, sizes=sizes) as report:
        arguments = {"sizes": options.powers_of_two(sizes), "runs": repeat}
        if device != "cpu":
            _on_device(report, device, arguments | {"batches": options.sizes(batch)})
            return
        report.results += _on_each_path("ntt", arguments, path, threads)


@app.command()
def msm(
    sizes: Sizes = "2^10,2^13,2^16",
    group: Annotated[
        list[str] | None, typer.Option(help="g1 or g2; repeat for both. Default: both.", show_default=False)
    ] = None,
    device: Device = "cpu",
    batch: Batches = "1",
    threads: Threads = None,
    path: Path_ = None,
    repeat: Repeat = 5,
    json_file: Json = None,
    plot_file: Plot = None,
) -> None:
    """Time multi-scalar multiplication, with uniform scalars and with scalars like those of many witnesses."""
    with _reporting("msm", json_file, plot_file, repeat=repeat, sizes=sizes) as report:
        arguments = {"sizes": options.sizes(sizes), "groups": options.groups(group), "runs": repeat}
        if device != "cpu":
            _on_device(report, device, arguments | {"batches": options.sizes(batch)})
            return
        report.results += _on_each_path("msm", arguments, path, threads)


@app.command()
def prove(
    circuit: Circuits = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(help="Also measure this prover on the same files, in turn: snarkjs.", show_default=False),
    ] = None,
    device: Device = "cpu",
    threads: Threads = None,
    path: Path_ = None,
    repeat: Repeat = 5,
    json_file: Json = None,
    plot_file: Plot = None,
) -> None:
    """Time Groth16 proofs: with the key in memory, and as whole processes from start to proof file.

    Every run proves another random statement. Keys are made on first use, for development only, and kept in the cache
    directory; those of a chain of a million constraints take minutes and 2 GB. On a GPU keys are made there and
    dropped, and only the time with the key in memory is taken.
    """
    names = list(dict.fromkeys(circuit or ["spend"]))
    with _reporting("prove", json_file, plot_file, repeat=repeat, circuits=names) as report:
        if device != "cpu":
            _on_device(report, device, {"names": names, "runs": repeat})
            return
        others = [peers.find_peer(name) for name in dict.fromkeys(peer or [])]
        for other in others:
            report.machine["peers"].update(other.versions)
        chosen_paths, chosen_threads = options.paths(path), options.threads(threads)
        for name in names:
            with tempfile.TemporaryDirectory(prefix="gelap-bench-") as folder:
                arguments = {"circuit": name, "folder": folder, "runs": repeat}
                prepared = run_task("prepare", arguments, "auto", max(chosen_threads))["answer"]
                witness_seconds = statistics.median(prepared["witness_seconds"])
                for count in chosen_threads:
                    arguments = {"prepared": prepared, "folder": folder, "runs": repeat}
                    residents = list(_in_child("prove", arguments, chosen_paths, count))
                    for resident in residents:
                        resident.details["witness_seconds"] = witness_seconds
                    report.results += residents
                    programs = [*(peers.gelap(resident.path) for resident in residents), *others]
                    report.results += whole_process.measure(prepared, Path(folder), programs, count, repeat)


@app.command()
def batch(
    circuit: Annotated[str, typer.Option(help="spend, insert or chain:N.")] = "spend",
    sizes: Annotated[str, typer.Option(help="Proofs in a batch, such as 1,16,64.")] = "1,4,16,32,64",
    device: Annotated[str, typer.Option(help="cuda, cuda:N or cpu.")] = "cuda",
    repeat: Repeat = 3,
    json_file: Json = None,
    plot_file: Plot = None,
) -> None:
    """Count proofs a second against the size of a batch, verification included, in one process."""
    with _reporting("batch", json_file, plot_file, repeat=repeat, sizes=sizes, circuits=[circuit]) as report:
        if device == "cpu":
            arguments = {"name": circuit, "batches": options.sizes(sizes), "runs": repeat}
            report.results += _in_child("batch", arguments, options.paths(None), max(options.threads(None)))
            return
        _on_device(report, device, {"name": circuit, "batches": options.sizes(sizes), "runs": repeat})


@app.command()
def verify(
    circuit: Circuits = None,
    sizes: Annotated[str, typer.Option(help="Proofs in a batch, such as 1,16,64.")] = "16,64",
    threads: Threads = None,
    path: Path_ = None,
    repeat: Repeat = 20,
    json_file: Json = None,
    plot_file: Plot = None,
) -> None:
    """Time the verification of one proof and of batches, under a key that was checked before."""
    names = list(dict.fromkeys(circuit or ["spend"]))
    with _reporting("verify", json_file, plot_file, repeat=repeat, sizes=sizes, circuits=names) as report:
        arguments = {"names": names, "sizes": options.sizes(sizes), "runs": repeat}
        report.results += _on_each_path("verify", arguments, path, threads)


@app.command()
def scan(
    sizes: Annotated[str, typer.Option(help="Memos, such as 100000,1000000.")] = "100000",
    leaves: Annotated[str, typer.Option(help="Leaves of a pool that a new wallet synchronises with.")] = "10000",
    threads: Threads = None,
    repeat: Repeat = 1,
    json_file: Json = None,
    plot_file: Plot = None,
) -> None:
    """Time a wallet's scan: memos tried with a viewing key, and all that a synchronisation does after the download."""
    with _reporting("scan", json_file, plot_file, repeat=repeat, sizes=sizes, leaves=leaves) as report:
        arguments = {"sizes": options.sizes(sizes), "leaves": options.sizes(leaves), "runs": repeat}
        for count in options.threads(threads):
            report.results += _in_child("scan", arguments, ["auto"], count)


@app.command()
def serve(
    rate: Annotated[float, typer.Option(min=0.1, max=10_000, help="Requests a second, on average.")] = 50.0,
    duration: Annotated[float, typer.Option(min=0.1, help="Seconds in which requests come.")] = 20.0,
    mix: Annotated[
        str,
        typer.Option(help="Kinds of jobs: milliseconds on the device, weight, and bulk, such as 20:0.9,500:0.1:bulk."),
    ] = "10",
    workers: Annotated[int, typer.Option(min=1, max=64, help="Workers with a device each.")] = 1,
    max_batch: Annotated[int, typer.Option(min=1, max=1024, help="Jobs that a device proves at once.")] = 8,
    kill_every: Annotated[
        float | None, typer.Option(min=0.1, help="Kill a worker every so many seconds, in turn.", show_default=False)
    ] = None,
    submit_only: Annotated[bool, typer.Option("--submit-only", help="Time taking jobs in, not proofs.")] = False,
    timeout: Annotated[float, typer.Option(min=1, max=3600, help="Seconds a call waits.")] = 120.0,
    seed: Annotated[int, typer.Option(help="Of arrivals and of the choice from the mix.")] = 1,
    json_file: Json = None,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", help="Draw the load into this PNG file.", show_default=False)
    ] = None,
) -> None:
    """Put a load on a private cluster: real gateway, workers and Redis, and devices that only take time.

    Requests come at random times whether or not earlier ones were answered, and are timed from when they were due.
    Every answer is checked. Nothing is proved: this measures the cluster, not the prover.
    """
    with reported_errors():
        try:
            from bench.serve import command
            from bench.serve import plot as serve_plot
            from bench.serve.cluster import ClusterPlan
            from bench.serve.mix import parse

            write = _json_writer(json_file)
            if plot_file is not None:
                plot.require_matplotlib()
                _require_folder(plot_file)
            plan = ClusterPlan(workers, max_batch, kill_every)
            number = max(1, round(rate * duration))
            document = command.measure(
                plan, rate, number, parse(mix), timeout=timeout, submit_only=submit_only, seed=seed
            )
            document["settings"] = {
                "rate": rate,
                "duration": duration,
                "mix": mix,
                "workers": workers,
                "max_batch": max_batch,
                "kill_every": kill_every,
                "submit_only": submit_only,
                "seed": seed,
            }
            command.show(document, sys.stderr if json_file == "-" else sys.stdout)
            write(document)
            if plot_file is not None:
                serve_plot.draw(document, plot_file)
        except BenchError as error:
            fail(str(error), MALFORMED)


@app.command()
def index(
    commitments: Annotated[int, typer.Option(min=2_000, max=10_000_000, help="On each chain that is read.")] = 50_000,
    chains: Annotated[int, typer.Option(min=1, max=16, help="How many chains are followed at once.")] = 1,
    range_blocks: Annotated[
        int | None, typer.Option(min=100, help="Blocks a partition in PostgreSQL; default: all in one.")
    ] = None,
    requests: Annotated[int, typer.Option(min=10, help="Pages of 1,000 leaves that each client asks for.")] = 300,
    clients: Annotated[
        list[int] | None, typer.Option(min=1, max=64, help="How many ask at once; repeat for more. Default 1 and 4.")
    ] = None,
    database: Annotated[str, typer.Option(help="postgresql or sqlite: a private one.")] = "postgresql",
    kept_mib: Annotated[
        int, typer.Option(min=0, help="Memory for finished pages, 64 in a real indexer; 0: each page is read anew.")
    ] = 0,
    repeat: Repeat = 3,
    json_file: Json = None,
) -> None:
    """Time an indexer: catching up with a recorded chain, every root checked, and pages of its API.

    The chain is made up and served over JSON-RPC by another process of this machine, and pages are asked for by others;
    their work counts too.
    """
    if database not in ("postgresql", "sqlite"):
        fail("--database is postgresql or sqlite", MALFORMED)
    asking = tuple(clients or (1, 4))
    settings = {
        "commitments": commitments,
        "chains": chains,
        "range_blocks": range_blocks,
        "database": database,
        "requests": requests,
        "clients": list(asking),
        "kept_mib": kept_mib,
    }
    with _reporting("index", json_file, None, repeat=repeat, **settings) as report:
        from bench.index.command import Plan, measure

        report.results += measure(Plan(commitments, repeat, requests, database, asking, chains, range_blocks, kept_mib))


def _on_each_path(
    task: str, arguments: dict[str, Any], paths: list[str] | None, threads: list[int] | None
) -> Iterator[Result]:
    chosen_paths = options.paths(paths)
    for count in options.threads(threads):
        yield from _in_child(task, arguments, chosen_paths, count)


def _on_device(report: Report, device: str, arguments: dict[str, Any]) -> None:
    """Measure on a GPU, in one child process that owns it."""
    task = {"part": report.command, "device": device, "arguments": arguments}
    answer = run_task("gpu", task, "auto", max(options.threads(None)))["answer"]
    report.machine["gpu"] = answer["gpu"]
    report.results += [Result(**fields) for fields in answer["results"]]


def _in_child(task: str, arguments: dict[str, Any], paths: list[str], threads: int) -> Iterator[Result]:
    for path in paths:
        answer = run_task(task, arguments, path, threads)
        for fields in answer["answer"]:
            yield Result(**{**fields, "path": answer["path"], "threads": threads})


@contextmanager
def _reporting(command: str, json_file: str | None, plot_file: Path | None, **settings: Any) -> Iterator[Report]:
    """Collect results, then print, write and draw them; errors end the command with one line."""
    with reported_errors():
        try:
            write = _json_writer(json_file)
            if plot_file is not None:
                plot.require_matplotlib()
                _require_folder(plot_file)
            report = Report(
                command, datetime.now(UTC).isoformat(timespec="seconds"), machine.describe() | {"peers": {}}, settings
            )
            load = OtherLoad()
            yield report
            report.machine["others_cores"] = load.cores()
            # Where JSON goes to stdout, the table does not.
            stream = sys.stderr if json_file == "-" else sys.stdout
            tables.show(report, Console(file=stream, width=None if stream.isatty() else WIDTH))
            write(report.document())
            if plot_file is not None:
                plot.draw(report, plot_file)
            warning = tables.busy_warning(report)
            if warning:
                typer.echo(f"warning: {warning}", err=True)
        except ChildError as error:
            if str(error):
                fail(str(error), error.code)
            raise typer.Exit(error.code) from error
        except BenchError as error:
            fail(str(error), MALFORMED)


def _json_writer(target: str | None) -> Callable[[dict[str, Any]], None]:
    def write(contents: dict[str, Any]) -> None:
        document = json.dumps(contents, indent=2) + "\n"
        if target == "-":
            typer.echo(document, nl=False)
        elif target is not None:
            with atomic_write(target) as stream:
                stream.write(document.encode())

    if target not in (None, "-"):
        _require_folder(Path(target))
    return write


def _require_folder(path: Path) -> None:
    """A missing folder is noticed before the measurement, not after it."""
    if not path.absolute().parent.is_dir():
        raise BenchError(f"{path}: there is no folder {path.parent}; make it first")
