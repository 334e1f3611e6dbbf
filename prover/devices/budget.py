"""How much of a device's memory may be used, and by what: nothing is begun that would not fit.

A device that runs out of memory in the middle of a proof fails late, and takes the memory of its neighbours with it. So
what a proving key and a batch of proofs need is computed before, and reserved here; what does not fit is refused with
the numbers, and the caller asks for less: smaller tables, a smaller batch, a key in pieces.
"""

import os
import re
import threading

from prover.errors import DeviceOutOfMemory, DeviceUnavailable

VARIABLE = "GELAP_DEVICE_MEMORY"
# Of what is free when the process starts. The rest is for the driver, the kernels and what CuPy rounds up.
_DEFAULT_SHARE = 0.9
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def allowed_bytes(free: int, total: int, wish: str | None = None) -> int:
    """What may be used of a device with so many free bytes.

    wish: `12GiB`, `800M`, `5000000` or `50%` (of all its memory); None stands for GELAP_DEVICE_MEMORY, and for 90 % of
    what is free where that is not set. Never more than is free. Raises DeviceUnavailable for a wish of another form.
    """
    if wish is None:
        wish = os.environ.get(VARIABLE) or ""
    if not wish:
        return int(free * _DEFAULT_SHARE)
    match = re.fullmatch(r"([0-9]{1,15})(%|[kmgt]?(?:i?b)?)", wish.strip().lower().replace(" ", ""))
    if match is None or (match[2] == "%" and int(match[1]) > 100):
        raise DeviceUnavailable(
            f"{VARIABLE} must be a number of bytes such as 12GiB, or a share such as 50%, not {wish!r}"
        )
    number, unit = int(match[1]), match[2]
    wanted = total * number // 100 if unit == "%" else number * _UNITS[unit[:1].replace("b", "")]
    return min(wanted, free)


def readable(count: int) -> str:
    """`3.2 GiB`."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


class MemoryBudget:
    """A number of bytes, handed out by name. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._reserved: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        return sum(self._reserved.values())

    @property
    def free(self) -> int:
        return self.limit - self.used

    def reserve(self, name: str, count: int) -> None:
        """Set `count` bytes aside for `name`, instead of what it had before.

        Raises DeviceOutOfMemory, and changes nothing, when they are not there.
        """
        with self._lock:
            rest = self.free + self._reserved.get(name, 0)
            if count > rest:
                raise DeviceOutOfMemory(
                    f"{name} needs {readable(count)} of the device's memory, and {readable(max(rest, 0))} of "
                    f"{readable(self.limit)} are left; prove in smaller batches, or raise {VARIABLE}"
                )
            self._reserved[name] = count

    def release(self, name: str) -> None:
        """Give back what `name` has, if anything."""
        with self._lock:
            self._reserved.pop(name, None)

    def reserved(self) -> dict[str, int]:
        """Bytes by name."""
        with self._lock:
            return dict(self._reserved)
