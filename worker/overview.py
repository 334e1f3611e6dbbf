"""The state of the whole cluster at a glance, as the job store tells it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CircuitLoad:
    """What waits for one proving key. `head` is the id of the job that has waited longest, `device_seconds` what a job
    takes on a device lately, 0 before the first.

    `stopped_seconds` tells for how long the circuit has been stopped because proofs did not verify; None: it is not.
    """

    key: bytes
    circuit: str
    normal: int
    bulk: int
    head: str
    oldest_seconds: float
    device_seconds: float
    wrong_jobs: int
    stopped_seconds: float | None

    @property
    def queued(self) -> int:
        return self.normal + self.bulk

    @property
    def queued_device_seconds(self) -> float:
        return self.queued * self.device_seconds


@dataclass(frozen=True)
class Overview:
    """The state of the whole cluster. `counters`: what happened since the store was empty, see `scripts/`."""

    running: int
    circuits: tuple[CircuitLoad, ...]
    counters: Mapping[str, int]

    @property
    def queued(self) -> int:
        return sum(load.queued for load in self.circuits)

    @property
    def oldest_seconds(self) -> float:
        """How long the job that has waited longest does so; 0 without one."""
        return max((load.oldest_seconds for load in self.circuits), default=0.0)

    @property
    def head(self) -> str:
        """Its id; empty without one."""
        return max(self.circuits, key=lambda load: load.oldest_seconds).head if self.circuits else ""


def read_overview(answer: Sequence[Any]) -> Overview:
    """Return what `scripts/overview.lua` answered."""
    running, counters, now, rows = answer
    return Overview(
        running=running,
        circuits=tuple(_circuit_load(now, *row) for row in rows),
        counters={name.decode(): int(value) for name, value in _pairs(counters).items()},
    )


def _circuit_load(
    now: int,
    key: bytes,
    circuit: bytes,
    normal: int,
    bulk: int,
    head: bytes,
    since: int,
    device_ms: bytes,
    breaker: Sequence[bytes],
) -> CircuitLoad:
    fields = _pairs(breaker)
    stopped = fields.get(b"stopped_ms")
    return CircuitLoad(
        key=bytes.fromhex(key.decode()),
        circuit=circuit.decode(),
        normal=normal,
        bulk=bulk,
        head=head.decode(),
        oldest_seconds=(now - since) / 1000 if since >= 0 else 0.0,
        device_seconds=float(device_ms) / 1000,
        wrong_jobs=int(fields.get(b"jobs", b"0")),
        stopped_seconds=(now - int(stopped)) / 1000 if stopped else None,
    )


def _pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
