"""A load as a picture: answers and latency over time, and where the time of a proof goes."""

from pathlib import Path
from typing import Any

from bench.plot import require_matplotlib
from prover.formats.files import atomic_write


def draw(document: dict[str, Any], path: Path) -> None:
    """Raises BenchError without matplotlib and FormatError when the file cannot be written."""
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 9), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    rates, latencies, shares = figure.subplots(3, 1)
    seconds = [row[0] for row in document["timeline"]]

    rates.step(seconds, [row[1] for row in document["timeline"]], where="post", label="due", color="tab:gray")
    rates.step(seconds, [row[2] for row in document["timeline"]], where="post", label="answered", color="tab:blue")
    rates.set_ylabel("requests a second")
    kills = f", a worker killed {document['kills']} times" if document["kills"] else ""
    rates.set_title(f"gelap bench serve on {document['machine']['cpu']}{kills}", fontsize="medium")

    shown = [row for row in document["timeline"] if row[3] > 0]
    for place, name in ((3, "p50"), (4, "p99")):
        latencies.plot([row[0] for row in shown], [row[place] for row in shown], marker=".", label=name)
    latencies.set_yscale("log")
    latencies.set_ylabel("latency by when it was due, s")
    latencies.set_xlabel("second")

    rows = {"latency": document["latency"], "overhead": document["overhead"], **document["phases"]}
    rows = {name: values for name, values in rows.items() if values}
    for offset, name in enumerate(("p50", "p95", "p99")):
        places = [place + offset * 0.27 for place in range(len(rows))]
        shares.barh(places, [max(values[name], 1e-4) for values in rows.values()], height=0.25, label=name)
    shares.set_yticks([place + 0.27 for place in range(len(rows))], list(rows))
    shares.invert_yaxis()
    shares.set_xscale("log")
    shares.set_xlabel("seconds")
    for axes in (rates, latencies, shares):
        axes.grid(True, alpha=0.3)
        axes.legend(fontsize="small")
    with atomic_write(path) as stream:
        figure.savefig(stream, format="png")
