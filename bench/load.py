"""How much of the CPUs other programs took while a measurement ran: what tells a quiet machine from a shared one."""

import os
import resource
import time
from pathlib import Path


class OtherLoad:
    """From its making on: CPU time of the whole machine less that of this process and the children it waited for."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._machine, self._own = _machine_seconds(), _own_seconds()

    def cores(self) -> float | None:
        """Cores that other programs kept busy, on average; None without /proc/stat."""
        machine = _machine_seconds()
        if machine is None or self._machine is None:
            return None
        others = (machine - self._machine) - (_own_seconds() - self._own)
        return round(max(0.0, others / (time.monotonic() - self._start)), 3)


def _machine_seconds() -> float | None:
    """CPU time spent by all programs since the machine started, and by other guests of its host in its place."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    except OSError:
        return None
    user, nice, system, _idle, _waiting, interrupts, soft_interrupts, stolen = (int(value) for value in fields[:8])
    return (user + nice + system + interrupts + soft_interrupts + stolen) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
