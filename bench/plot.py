"""Time against size, as a PNG."""

import importlib.util
from pathlib import Path

from bench.errors import BenchError
from bench.result import Report, Result
from prover.formats.files import atomic_write

_MISSING = "matplotlib is not installed, so nothing can be drawn; run `pip install 'gelap[bench]'`, or leave out --plot"


def require_matplotlib() -> None:
    """Raises BenchError when it is not installed; does not load it, so that the measuring process stays small."""
    if importlib.util.find_spec("matplotlib") is None:
        raise BenchError(_MISSING)


def draw(report: Report, path: Path) -> None:
    """Write medians with their quartiles, one line for each series, both axes logarithmic. Of batches, proofs a second.

    Raises BenchError without matplotlib and FormatError when the file cannot be written.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    series: dict[str, list[Result]] = {}
    for result in report.results:
        series.setdefault(result.series, []).append(result)
    for name, results in series.items():
        results.sort(key=lambda result: result.size)
        lows, medians, highs = zip(*(_values(report, result) for result in results), strict=True)
        below = [median - low for median, low in zip(medians, lows, strict=True)]
        above = [high - median for median, high in zip(medians, highs, strict=True)]
        axes.errorbar(
            [result.size for result in results], medians, yerr=[below, above], label=name, marker="o", capsize=3
        )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel(report.results[0].unit)
    axes.set_ylabel("proofs a second" if report.command == "batch" else "seconds, median and quartiles")
    where = report.machine["gpu"]["name"] if "gpu" in report.machine else report.machine["cpu"]
    axes.set_title(f"gelap bench {report.command} on {where}", fontsize="medium")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend(fontsize="small")
    with atomic_write(path) as stream:
        figure.savefig(stream, format="png")


def _values(report: Report, result: Result) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile of what is drawn."""
    low, high = result.quartiles
    if report.command == "batch":
        return result.size / high, result.size / result.median, result.size / low
    return low, result.median, high
