"""The machine code of the sums of points has the resources that the plan counts on."""

import pytest

from prover.kernels.cuda.compile import compile_unit
from prover.msm.cuda_plan import G1, G2, THREADS

_REGISTERS = 65_536
# Registers are given to a warp in portions of 256.
_PORTION = 8


@pytest.mark.slow
@pytest.mark.parametrize("group", [G1, G2], ids=lambda group: group.name)
@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_as_many_threads_find_their_registers_as_the_plan_counts_on(group, arch):
    resources = compile_unit(group.unit, arch).resources
    for kernel in ("msm_accumulate", "msm_line_sums"):
        registers = -(-resources[kernel].registers // _PORTION) * _PORTION
        blocks = _REGISTERS // (registers * THREADS)
        assert blocks * THREADS >= group.threads, (kernel, resources[kernel])


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_a_running_sum_in_g1_stays_in_registers(arch):
    resources = compile_unit(G1.unit, arch).resources["msm_accumulate"]
    assert (resources.stack_bytes, resources.spill_store_bytes, resources.spill_load_bytes) == (0, 0, 0)
