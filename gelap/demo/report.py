"""What the demo found out: steps, balances as each party sees them, checks. Shown as tables or as one JSON document."""

from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Step:
    """One thing that happened. Seconds are wall time; `gas` and `proof_seconds` only where there were any.

    `proof_seconds` is what the worker spent on witness and proof, without waiting.
    """

    name: str
    seconds: float
    gas: int | None = None
    proof_seconds: float | None = None
    cached: bool = False
    detail: str = ""


@dataclass(frozen=True)
class View:
    """What one party knows of one balance, in whole tokens."""

    party: str
    sees: str
    amount: int


@dataclass(frozen=True)
class Check:
    """Two sides of one fact; the demo fails when they differ."""

    name: str
    expected: Any
    actual: Any

    @property
    def ok(self) -> bool:
        return bool(self.expected == self.actual)


@dataclass
class Report:
    """Filled as the demo goes on, so that a failed run still shows how far it came."""

    steps: list[Step] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    contracts: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    error: str | None = None

    @property
    def ok(self) -> bool:
        return self.error is None and bool(self.checks) and all(check.ok for check in self.checks)

    def document(self) -> dict[str, Any]:
        """The JSON document of `gelap demo --json`."""
        return {
            "ok": self.ok,
            "error": self.error,
            "development_only": True,
            "seconds": round(self.seconds, 3),
            "steps": [asdict(step) for step in self.steps],
            "balances": [asdict(view) for view in self.views],
            "checks": [
                {"name": check.name, "ok": check.ok, "expected": str(check.expected), "actual": str(check.actual)}
                for check in self.checks
            ],
            "contracts": self.contracts,
        }

    def show(self, console: Console) -> None:
        """Print the tables."""
        console.print(self._step_table())
        console.print(self._view_table())
        console.print(self._check_table())

    def _step_table(self) -> Table:
        table = Table(title="What happened", title_justify="left", caption_justify="left")
        table.add_column("step")
        for column in ("time", "proof", "gas"):
            table.add_column(column, justify="right")
        table.add_column("")
        for step in self.steps:
            proof = "cache" if step.cached else "" if step.proof_seconds is None else f"{step.proof_seconds:.2f} s"
            gas = "" if step.gas is None else f"{step.gas:,}"
            table.add_row(step.name, f"{step.seconds:.2f} s", proof, gas, step.detail)
        table.caption = f"{self.seconds:.1f} s in all. Development keys: never for anything of value."
        return table

    def _view_table(self) -> Table:
        table = Table(title="What each party sees", title_justify="left")
        table.add_column("party")
        table.add_column("sees")
        table.add_column("tokens", justify="right")
        for view in self.views:
            table.add_row(view.party, view.sees, str(view.amount))
        return table

    def _check_table(self) -> Table:
        table = Table(title="What must agree", title_justify="left")
        table.add_column("check")
        table.add_column("")
        for check in self.checks:
            verdict = "[green]agrees[/]" if check.ok else f"[red]expected {check.expected}, found {check.actual}[/]"
            table.add_row(check.name, verdict)
        return table
