"""Results of a GPU as a table of plain text, and what the whole document says; needs no library."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from bench import machine
from bench.load import OtherLoad
from bench.result import Report, Result


def new_report(command: str, settings: dict[str, Any], gpu: dict[str, Any]) -> Report:
    """A report that knows the machine and its GPU: see `timing.gpu_facts`, of which nothing need be known yet."""
    described = machine.describe() | {"peers": {}, "gpu": dict(gpu)}
    return Report(command, datetime.now(UTC).isoformat(timespec="seconds"), described, settings)


def finish(report: Report, load: OtherLoad) -> None:
    """Note how much other programs ran meanwhile."""
    report.machine["others_cores"] = load.cores()


def lines(report: Report) -> list[str]:
    """The results and the machine they were measured on."""
    return [*table(report.results), *_caption(report)]


def table(results: Iterable[Result]) -> list[str]:
    """The results alone."""
    rows: list[tuple[str, ...]] = [
        ("benchmark", "case", "size", "median", "quartiles", "G mul/s", "of ceiling", "more")
    ]
    rows += [_row(result) for result in results]
    return list(_aligned(rows))


def _row(result: Result) -> tuple[str, ...]:
    low, high = result.quartiles
    details = result.details
    rate, share = details.get("multiplications_per_second"), details.get("share_of_ceiling")
    return (
        result.benchmark,
        ", ".join(f"{name} {value}" for name, value in result.case.items()),
        f"{result.size:,} {result.unit}",
        _ms(result.median),
        f"{_ms(low)} .. {_ms(high)}",
        f"{rate / 1e9:.2f}" if rate else "-",
        f"{share:.0%}" if share else "-",
        _more(details),
    )


def _more(details: dict[str, Any]) -> str:
    parts = []
    if "proofs_per_second" in details:
        parts.append(f"{details['proofs_per_second']:,.1f} proofs/s")
    if "device_ms" in details:
        times = sorted(details["device_ms"])
        parts.append(f"on the device {times[len(times) // 2]:.3f} ms")
    if "steps_ms" in details:
        parts.append(", ".join(f"{name} {milliseconds:.3f}" for name, milliseconds in details["steps_ms"].items()))
    if "window_bits" in details:
        parts.append(f"c = {details['window_bits']}, {details['tables']} tables")
    return "; ".join(parts)


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.3f} ms"


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _caption(report: Report) -> list[str]:
    gpu = report.machine["gpu"]
    commit = report.machine["commit"]
    described = "nothing is known of the GPU"
    if "name" in gpu:
        described = (
            f"{gpu['name']} ({gpu['architecture']}, {gpu['multiprocessors']} multiprocessors), driver {gpu['driver']}, "
            f"{gpu['cupy'] or 'no CuPy'}"
        )
    if "multiplications_per_second" in gpu:
        described += f", ceiling {gpu['multiplications_per_second'] / 1e9:.2f} G multiplications/s"
    return [
        described,
        f"{report.machine['cpu']}, {report.machine['usable_cores']} cores, Python {report.machine['python']}, "
        f"commit {commit[:12] if commit else 'unknown'}"
        + (" with uncommitted changes" if report.machine["uncommitted_changes"] else ""),
    ]
