"""Every CUDA unit compiles with NVRTC for the architectures that are supported; no GPU is needed for that."""

from pathlib import Path

import pytest

from prover.errors import DeviceError, DeviceUnavailable
from prover.kernels.cuda import compile as compiler
from prover.kernels.cuda import shim_build
from prover.kernels.cuda.sources import SOURCE_FOLDER, included_files, unit_path, units

TEST_KERNELS = Path(__file__).parent / "runtime_kernels.cu"
CAPABILITIES = (80, 90)
# Every thread of a block of 256 must find its registers: 65,536 a multiprocessor.
MOST_REGISTERS = 255


def _compile_all(arch: str) -> dict[str, compiler.CompiledUnit]:
    return {unit.unit: unit for unit in compiler.preload(arch)}


@pytest.mark.slow
@pytest.mark.parametrize("capability", CAPABILITIES)
def test_every_unit_compiles_to_ptx_with_the_parameters_that_the_shim_reads(capability):
    compiled = _compile_all(f"compute_{capability}")
    assert sorted(compiled) == units()
    for name, unit in compiled.items():
        text = unit.path.read_text()
        assert f".target sm_{capability}" in text
        # Kernels have PTX of their own for a GPU, not the twin for a CPU.
        assert "GELAP_SHIM" not in text
        by_the_shim = shim_build.kernel_parameters(unit_path(name))
        assert unit.parameters.keys() == by_the_shim.keys() != set()
        for kernel, parameters in unit.parameters.items():
            assert [each.size for each in parameters] == [each.size for each in by_the_shim[kernel]], kernel


@pytest.mark.slow
@pytest.mark.parametrize("capability", CAPABILITIES)
def test_every_unit_compiles_to_machine_code_that_stays_in_registers(capability, record_property, capsys):
    compiled = _compile_all(f"sm_{capability}")
    lines = []
    for name, unit in compiled.items():
        assert unit.path.read_bytes()[:4] == b"\x7fELF"
        assert unit.resources.keys() == unit.parameters.keys(), name
        for kernel, resources in unit.resources.items():
            lines.append(f"{name}.{kernel}: {resources}")
            record_property(f"{name}.{kernel}", repr(resources))
            assert 0 < resources.registers <= MOST_REGISTERS
            # A few spilled words do not matter; arrays that a kernel indexes at run time would show here.
            assert resources.spill_store_bytes <= 256, lines[-1]
    with capsys.disabled():
        print(f"\nsm_{capability}:", *lines, sep="\n  ")


def test_the_kernels_that_test_the_shim_are_real_cuda():
    unit = compiler.compile_source(TEST_KERNELS, "compute_90")
    assert unit.parameters.keys() == shim_build.kernel_parameters(TEST_KERNELS).keys()


def test_a_field_multiplication_takes_128_wide_products():
    """64 of limbs and 64 by the modulus, each as two halves; with eight quotient digits that makes 136 products."""
    text = compiler.compile_unit("rate", "compute_90").path.read_text()
    body = text[text.index(".entry fq_multiply_1(") :]
    body = body[: body.index("\n}")]
    # The low halves of the first row are plain products, as are quotient digits and indices.
    assert body.count("madc.hi") + body.count("mul.hi.u32") == 128
    assert body.count("mad.lo.cc") + body.count("madc.lo.cc") == 120


def test_a_unit_that_is_wrong_is_an_error_with_the_line(tmp_path):
    source = tmp_path / "wrong.cu"
    source.write_text('#include "field.cuh"\nextern "C" __global__ void f(uint32_t* a) {\n  a[0] = nonsense;\n}\n')
    with pytest.raises(DeviceError, match=r"wrong.cu does not compile for compute_90[\s\S]*wrong.cu\(3\).*nonsense"):
        compiler.compile_source(source, "compute_90")
    with pytest.raises(DeviceError, match=r"wrong.cu does not compile for the shim[\s\S]*wrong.cu:3.*nonsense"):
        shim_build.build_source(source)


def test_an_unknown_unit_is_an_error_that_lists_the_units():
    with pytest.raises(ValueError, match=r"no CUDA unit 'nonsense'; there are: .*laws"):
        compiler.compile_unit("nonsense", "compute_90")


@pytest.mark.parametrize(
    ("capability", "arch"), [((7, 5), "sm_75"), ((8, 0), "sm_80"), ((8, 9), "sm_89"), ((9, 0), "sm_90")]
)
def test_code_is_made_for_the_gpu_that_is_there(capability, arch):
    assert compiler.architecture(*capability) == arch


def test_a_newer_gpu_of_the_same_family_gets_its_machine_code_and_one_of_a_later_family_ptx():
    newest = compiler.supported_architectures()[-1]
    assert compiler.architecture(9, 9) == "sm_90"
    assert compiler.architecture(newest // 10 + 1, 0) == f"compute_{newest}"
    with pytest.raises(DeviceUnavailable, match="too old"):
        compiler.architecture(3, 5)


def test_the_include_closure_has_every_header_once():
    files = [path.name for path in included_files(SOURCE_FOLDER / "laws.cu")]
    assert files[0] == "laws.cu"
    assert sorted(files[1:]) == ["curve.cuh", "field.cuh", "fq2.cuh", "montgomery.cuh", "ptx.cuh", "types.cuh"]
