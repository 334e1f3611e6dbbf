"""Calling machine code: every kind of argument arrives, and nothing unsuitable gets that far."""

import threading
import time
from struct import error as StructError

import numpy as np
import pytest

from prover.errors import KernelError
from prover.kernels import compile as kernel_compiler
from prover.kernels import device, image, link, native
from tests.unit import sample_kernels

MODULE = "tests.unit.sample_kernels"


def _refuse_to_link(data):
    raise link.NotLinkable("as on another system")


@pytest.fixture(scope="module", params=["copied", "loaded by LLVM"])
def kernels(request):
    """The sample kernels, in both forms that an image can have."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param != "copied":
            patch.setattr(link, "link", _refuse_to_link)
        images = {unit: kernel_compiler.compile_unit(unit) for unit in (MODULE, f"{MODULE}:g1", f"{MODULE}:g2")}
        for unit, content in images.items():
            assert image.is_intact(content)
            assert (b'"inner"' in content) == (request.param == "copied")
            patch.setitem(native._images, unit, image.load_image(content))
        yield lambda name: native.entry(MODULE, name)


def _mix_arguments() -> list:
    rows, shorts, flags = np.zeros((3, 4), np.uint64), np.arange(-5, 0, dtype=np.int16), np.zeros(1, np.bool_)
    pair = ((1, 2, 3, 4), (2**64 - 7, 6, 7, 8))
    return [rows, shorts, flags, -(2**62), 2**64 - 1, 200, True, (1, 2, 3, 2**63 + 5), pair]


def test_every_kind_of_argument_arrives_and_the_result_comes_back(kernels):
    arguments = _mix_arguments()
    assert kernels("mix")(*arguments) == -(2**62) - 1
    rows, _, flags = arguments[:3]
    assert rows[0].tolist() == [2**64 - 1, 200, 2**63 + 5, 2**64 - 7]
    assert rows[2, 3] == 5
    assert flags.tolist() == [True]


def test_arrays_of_three_dimensions_and_truth_values(kernels):
    assert kernels("is_wide")(np.zeros((2, 3, 4), np.uint64)) == 1
    assert kernels("is_wide")(np.zeros((4, 3, 2), np.uint64)) == 0


def test_a_kernel_for_both_groups_is_two_kernels(kernels):
    for width, entry in native.group_entries(MODULE, "twice").items():
        out = np.zeros((2, 4), np.uint64)
        entry((1, 2, 3, 4) if width == 8 else ((1, 2, 3, 4), (5, 6, 7, 8)), out)
        assert out.tolist() == [[8 if width == 8 else 4, 7, 7, 7], [7, 7, 7, 7]]


def test_kernels_share_the_field_arithmetic(kernels):
    out = np.zeros((1, 4), np.uint64)
    kernels("add")((2**64 - 1, 0, 0, 0), (1, 0, 0, 0), out)
    assert out.tolist() == [[0, 1, 0, 0]]


def test_read_only_arrays_and_numpy_numbers_are_fine(kernels):
    arguments = _mix_arguments()
    arguments[1].flags.writeable = False
    arguments[3:6] = np.int64(-4), np.uint64(2**64 - 2), np.uint8(9)
    assert kernels("mix")(*arguments) == -5
    assert arguments[0][0, :2].tolist() == [2**64 - 2, 9]


def _replaced(place, value):
    arguments = _mix_arguments()
    arguments[place] = value
    return arguments


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (_replaced(0, np.zeros((3, 4), np.int64)), "int64, 2 dimensions"),
        (_replaced(0, np.zeros(12, np.uint64)), "uint64, 1 dimensions"),
        (_replaced(0, np.zeros((4, 3), np.uint64).T), "not contiguous"),
        (_replaced(0, np.zeros((3, 8), np.uint64)[:, ::2]), "not contiguous"),
        (_replaced(0, np.zeros(97, np.uint8)[1:].view(np.uint64).reshape(3, 4)), "not aligned"),
        (_replaced(0, np.zeros((3, 4), ">u8")), "an array of >u8"),
        (_replaced(1, np.zeros(3, np.int8)), "an array of int8, 1 dimensions"),
        (_replaced(0, np.zeros((3, 4), np.uint64).view(np.recarray)), "an array of uint64"),
        (_replaced(0, [[0, 0, 0, 0]]), "'list'"),
        (_replaced(0, 12345678), "'int'"),
        (_mix_arguments()[:-1], "8 arguments"),
        ([*_mix_arguments(), 0], "10 arguments"),
    ],
)
def test_an_argument_of_another_kind_is_refused(kernels, arguments, reason):
    with pytest.raises(TypeError, match=reason):
        kernels("mix")(*arguments)


@pytest.mark.parametrize(
    ("place", "value"), [(3, 2**63), (4, -1), (4, 2**64), (3, 1.5), (7, (1, 2, 3)), (7, (1, 2, 3, 2**64))]
)
def test_a_number_that_does_not_fit_is_refused(kernels, place, value):
    with pytest.raises((StructError, TypeError)):
        kernels("mix")(*_replaced(place, value))


def test_a_kernel_that_fails_says_which_it_was(kernels):
    assert kernels("fail_at_zero")(5) == 5
    with pytest.raises(RuntimeError, match=r"sample_kernels\.fail_at_zero.* status"):
        kernels("fail_at_zero")(0)


def test_other_threads_run_while_a_kernel_does(kernels):
    """The kernel takes a second or so; with the interpreter to itself it would leave this thread one turn before it."""
    counter, turns = np.zeros(1, np.uint64), 0
    count_up = kernels("count_up")
    count_up(counter, 1)
    worker = threading.Thread(target=count_up, args=(counter, 3_000_000_000))
    worker.start()
    while worker.is_alive():
        turns += 1
        time.sleep(0.005)
    assert turns > 3


@pytest.mark.parametrize(
    ("function", "reason"), [("allocating", r"bad does not compile[\s\S]*empty"), ("calling", "call .*gamma")]
)
def test_a_kernel_that_needs_more_than_its_image_is_not_compiled(monkeypatch, function, reason):
    exports = {("bad", ""): device.Export(device.kernel(getattr(sample_kernels, function)), ("u64[:,:]",), "", "")}
    monkeypatch.setitem(device.EXPORTS, MODULE, exports)
    with pytest.raises(KernelError, match=reason):
        kernel_compiler.compile_unit(MODULE)


def test_a_kernel_whose_result_is_not_the_one_declared_is_not_compiled(monkeypatch):
    exports = {("bad", ""): device.Export(device.kernel(lambda x: x > 1), ("i64",), "i64", "")}
    monkeypatch.setitem(device.EXPORTS, MODULE, exports)
    with pytest.raises(KernelError, match="bad returns bool, not int64"):
        kernel_compiler.compile_unit(MODULE)


def test_object_files_of_other_machines_are_left_to_llvm():
    for data in (b"", b"\xcf\xfa\xed\xfe" + bytes(100), b"\x7fELF\x02\x01" + bytes(12) + b"\xb7\x00" + bytes(60)):
        with pytest.raises(link.NotLinkable):
            link.link(data)
