"""How long work tells its caller how far it is, without knowing who listens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

# (what is being done, steps finished, steps in all)
Reporter = Callable[[str, int, int], None]


def silent(activity: str, done: int, total: int) -> None:
    """The reporter of callers that do not want to know."""


@contextmanager
def on_terminal(title: str) -> Iterator[Reporter]:
    """Draw one progress bar on stderr; plain lines when stderr is not a terminal, so logs stay readable."""
    # Drawing libraries take as long to import as some commands take to run.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda activity, done, total: console.print(f"{title}: {activity} ({done}/{total})", markup=False)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task(title, total=None)
        yield lambda activity, done, total: bars.update(
            task, description=f"{title}: {activity}", completed=done, total=total
        )
