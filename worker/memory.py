"""Keeps witnesses in a worker's memory: a crash leaves no copy of it in a file."""

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4


def forbid_core_dumps() -> None:
    """Have this process leave no core dump, however it ends.

    On Linux other processes of the same user cannot read its memory either (`PR_SET_DUMPABLE` in prctl(2)): a limit of
    0 alone does not bind the programs that a kernel may hand dumps to (core(5)).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
