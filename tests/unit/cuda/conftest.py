"""Kernels run here in a random order of blocks, warps and lanes, always the same one, unless GELAP_SHIM_ORDER is set."""

import os

from prover.kernels.cuda.shim_device import ORDER_VARIABLE

os.environ.setdefault(ORDER_VARIABLE, "random:1")
