"""Results for people."""

from rich.console import Console
from rich.table import Column, Table

from bench.result import Report, Result

# Other programs' share of the machine's cores above which times are not to be trusted.
_QUIET = 0.05


def show(report: Report, console: Console) -> None:
    """Print the results and the machine they were measured on."""
    if "gpu" in report.machine:
        from bench.gpu.report import lines as gpu_lines

        for line in gpu_lines(report):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        return
    if report.command == "prove":
        for table in _prove_tables(report.results):
            console.print(table)
    else:
        console.print(_plain_table(report.results))
    console.print(_caption(report), markup=False, highlight=False)


def busy_warning(report: Report) -> str | None:
    """What to say when other programs ran beside the measurement; None when they hardly did."""
    others = report.machine["others_cores"]
    if others is None or others <= _QUIET * report.machine["usable_cores"]:
        return None
    return f"other programs kept {others:.2f} cores busy meanwhile, so these times are too long; measure again later"


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 0.9995:
            return f"{seconds * factor:#.3g}".rstrip(".") + f" {unit}"
    return f"{seconds * 1e9:#.3g}".rstrip(".") + " ns"


def _timing(result: Result | None) -> str:
    return f"{duration(result.median)} ± {result.spread / 2:.0%}" if result else "-"


def _plain_table(results: list[Result]) -> Table:
    table = Table("benchmark", "case", "path", *_numbers("threads", "size", "median ± half the quartile range", "each"))
    for result in results:
        case = ", ".join(result.case.values())
        each = duration(result.median / result.size)
        size = f"{result.size:,} {result.unit}"
        table.add_row(result.benchmark, case, result.path, str(result.threads), size, _timing(result), each)
    return table


def _prove_tables(results: list[Result]) -> list[Table]:
    """One row for each circuit, path and number of threads, with the peers that ran beside it; and the phases."""
    peers = sorted({name for result in results if (name := _peer(result))})
    times = Table(
        Column("circuit", no_wrap=True),
        "path",
        *_numbers("threads", "constraints", "key resident", "whole process", "peak memory", "private memory"),
        *_numbers(*(column for name in peers for column in (name, f"gelap / {name}"))),
    )
    phases: Table | None = None
    for resident in (result for result in results if result.benchmark == "gelap_resident"):
        whole = _beside(resident, results, "gelap_process", resident.path)
        cells = [
            resident.case["circuit"],
            resident.path,
            str(resident.threads),
            f"{resident.size:,}",
            _timing(resident),
            _timing(whole),
            _memory(whole, "peak_bytes"),
            _memory(whole, "peak_private_bytes"),
        ]
        for name in peers:
            peer = _beside(resident, results, f"{name}_process", "")
            cells += [_timing(peer), f"{whole.median / peer.median:.3f}" if whole and peer else "-"]
        times.add_row(*cells)
        found = resident.details["phases"]
        if phases is None:
            phases = Table(
                Column("circuit", no_wrap=True), "path", *_numbers("threads", "witness", *found, "key loading")
            )
        parts = [resident.details["witness_seconds"], *found.values(), resident.details["load_seconds"]]
        phases.add_row(*cells[:3], *(duration(seconds) for seconds in parts))
    return [times, phases] if phases else [times]


def _peer(result: Result) -> str | None:
    name = result.benchmark.removesuffix("_process")
    return None if name in (result.benchmark, "gelap") else name


def _beside(resident: Result, results: list[Result], benchmark: str, path: str) -> Result | None:
    wanted = (benchmark, resident.case, path, resident.threads)
    return next(
        (found for found in results if (found.benchmark, found.case, found.path, found.threads) == wanted), None
    )


def _memory(result: Result | None, field: str) -> str:
    found = result.details[field] if result else None
    return f"{found / 1e6:,.0f} MB" if found else "-"


def _numbers(*names: str) -> list[Column]:
    return [Column(name, justify="right") for name in names]


def _caption(report: Report) -> str:
    machine = report.machine
    lines = [
        f"{machine['cpu']} ({machine['cpu_family_model']}), {machine['usable_cores']} cores, "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB, {' '.join(machine['flags'])}",
        f"Python {machine['python']}, numba {machine['numba']}, numpy {machine['numpy']}, gelap {machine['gelap']}"
        + "".join(f", {name} {version}" for name, version in machine["peers"].items())
        + (f", commit {machine['commit'][:12]}" if machine["commit"] else "")
        + (" with uncommitted changes" if machine["uncommitted_changes"] else ""),
        f"{report.settings['repeat']} runs each, one more not counted; load average before: "
        f"{' '.join(map(str, machine['load_average']))}; used by other programs meanwhile: "
        f"{machine['others_cores']} cores",
    ]
    return "\n".join(lines)
