"""Compiles the exported kernels of a module into one image; the only code of the package that runs Numba.

`python -m prover.kernels.compile FOLDER` does it in a process of its own: it reads names of units from standard input,
one a line, writes each unit's image to the folder and answers with the name. A unit is a module, or its kernels for one
group of points: `prover.msm.cpu_kernels:g1`.

In front of each kernel goes a stub that unpacks the words of `prover.kernels.native`, so that nobody else depends on
Numba's calling convention. The kernels of a unit are linked into one LLVM module and share their field arithmetic.
"""

import ctypes
import functools
import importlib
import sys
from pathlib import Path
from typing import Any

import numba.np.numpy_support
import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core.errors import NumbaError

from prover.errors import KernelError
from prover.kernels import device
from prover.kernels.device import Export, numba_type
from prover.kernels.image import C_FUNCTIONS, UNSUITABLE, make_image, store

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_WORDS = _I64.as_pointer()
# Offsets in PyObject, PyArrayObject_fields and _PyArray_Descr (numpy/ndarraytypes.h).
_HEAD = object.__basicsize__
_TYPE, _DATA, _DIMENSIONS, _SHAPE, _DESCRIPTION, _FLAGS = (
    _HEAD - 8,
    _HEAD,
    _HEAD + 8,
    _HEAD + 16,
    _HEAD + 40,
    _HEAD + 48,
)
_BYTE_ORDER, _TYPE_NUMBER = _HEAD + 10, _HEAD + 12
# NPY_ARRAY_C_CONTIGUOUS and NPY_ARRAY_ALIGNED; the characters of native byte order, and of none.
_USABLE = 0x0001 | 0x0100
_NATIVE = b"=|"


class _Words:
    """Reads a stub's argument words one after the other."""

    def __init__(self, builder: ir.IRBuilder, words: ir.Value) -> None:
        self._builder = builder
        self._words = words
        self._next = 0

    def take(self) -> ir.Value:
        place = self._builder.gep(self._words, [_I64(self._next)])
        self._next += 1
        return self._builder.load(place)


def _field(builder: ir.IRBuilder, address: ir.Value, offset: int, kind: ir.Type = _I64) -> ir.Value:
    return builder.load(builder.inttoptr(builder.add(address, _I64(offset)), kind.as_pointer()))


def _return_unless(builder: ir.IRBuilder, condition: ir.Value, status: int) -> None:
    """Leave the stub with `status` where the condition does not hold."""
    with builder.if_then(builder.not_(condition), likely=False):
        builder.ret(_I32(status))


def _check_array(builder: ir.IRBuilder, address: ir.Value, array_type: ir.Value, kind: Any, status: int) -> None:
    """Is the object at `address` an array of this kind that kernels can use?"""
    _return_unless(builder, builder.icmp_unsigned("==", _field(builder, address, _TYPE), array_type), status)
    dimensions = builder.icmp_signed("==", _field(builder, address, _DIMENSIONS, _I32), _I32(kind.ndim))
    flags = builder.and_(_field(builder, address, _FLAGS, _I32), _I32(_USABLE))
    description = _field(builder, address, _DESCRIPTION)
    number = numba.np.numpy_support.as_dtype(kind.dtype).num
    order = _field(builder, description, _BYTE_ORDER, _I8)
    native = builder.or_(*(builder.icmp_unsigned("==", order, _I8(character)) for character in _NATIVE))
    conditions = [
        dimensions,
        builder.icmp_unsigned("==", flags, _I32(_USABLE)),
        builder.icmp_signed("==", _field(builder, description, _TYPE_NUMBER, _I32), _I32(number)),
        native,
    ]
    _return_unless(builder, functools.reduce(builder.and_, conditions), status)


def _array(context: Any, builder: ir.IRBuilder, kind: Any, address: ir.Value) -> ir.Value:
    """A Numba array over a NumPy one."""
    array = context.make_array(kind)(context, builder)
    shape_address = _field(builder, address, _SHAPE)
    shape = [_field(builder, shape_address, 8 * axis) for axis in range(kind.ndim)]
    itemsize = _I64(context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    strides = [itemsize]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    nitems = _I64(1)
    for length in shape:
        nitems = builder.mul(nitems, length)
    array.data = builder.inttoptr(_field(builder, address, _DATA), array.data.type)
    array.shape = _packed(builder, shape)
    array.strides = _packed(builder, strides)
    array.nitems, array.itemsize = nitems, itemsize
    array.meminfo = ir.Constant(array.meminfo.type, None)
    array.parent = ir.Constant(array.parent.type, None)
    return array._getvalue()


def _packed(builder: ir.IRBuilder, parts: list[ir.Value]) -> ir.Value:
    value = ir.Constant(ir.ArrayType(parts[0].type, len(parts)), ir.Undefined)
    for i, part in enumerate(parts):
        value = builder.insert_value(value, part, i)
    return value


def _value(context: Any, builder: ir.IRBuilder, kind: Any, words: _Words) -> ir.Value:
    """The next argument, as Numba holds values of this type."""
    if isinstance(kind, types.UniTuple):
        return _packed(builder, [_value(context, builder, kind.dtype, words) for _ in range(kind.count)])
    word = words.take()
    width = context.get_value_type(kind)
    return word if width == _I64 else builder.trunc(word, width)


def _add_stub(context: Any, module: ir.Module, symbol: str, compiled: Any, export: Export) -> None:
    """i32 symbol(words, result): 0, the status of a kernel that raised, or UNSUITABLE - i for an array i that is not.

    The first word is the address of the type of arrays, the others are those of `prover.kernels.native`.
    """
    function = ir.Function(module, ir.FunctionType(_I32, [_WORDS, _WORDS]), symbol)
    builder = ir.IRBuilder(function.append_basic_block())
    words = _Words(builder, function.args[0])
    array_type = words.take()
    signature = compiled.signature
    arguments = []
    given = 0
    for name, kind in zip(export.parameters, signature.args, strict=True):
        if name == "like":
            arguments.append(ir.Constant(context.get_value_type(kind), None))
            continue
        if isinstance(kind, types.Array):
            address = words.take()
            _check_array(builder, address, array_type, kind, UNSUITABLE - given)
            arguments.append(_array(context, builder, kind, address))
        else:
            arguments.append(_value(context, builder, kind, words))
        given += 1
    callee = context.declare_function(module, compiled.fndesc)
    status, result = context.call_conv.call_function(builder, callee, signature.return_type, signature.args, arguments)
    if export.result:
        word = context.cast(builder, result, signature.return_type, types.int64)
        builder.store(word, function.args[1])
    builder.ret(status.code)


def _check_layout_of_arrays() -> None:
    """Are NumPy's arrays laid out as the stubs read them?"""

    def number(kind: Any, address: int) -> int:
        return kind.from_address(address).value

    sample = np.zeros((3, 5), dtype=np.uint64)
    description = number(ctypes.c_uint64, id(sample) + _DESCRIPTION)
    shape = number(ctypes.c_uint64, id(sample) + _SHAPE)
    found: tuple[Any, ...] = (
        number(ctypes.c_uint64, id(sample) + _TYPE),
        number(ctypes.c_uint64, id(sample) + _DATA),
        number(ctypes.c_int32, id(sample) + _DIMENSIONS),
        number(ctypes.c_int32, id(sample) + _FLAGS),
        description,
    )
    expected: tuple[Any, ...] = (id(np.ndarray), sample.ctypes.data, 2, sample.flags.num, id(sample.dtype))
    if found == expected:
        found = (
            number(ctypes.c_uint64, shape),
            number(ctypes.c_uint64, shape + 8),
            number(ctypes.c_uint8, description + _BYTE_ORDER),
            number(ctypes.c_int32, description + _TYPE_NUMBER),
        )
        expected = (3, 5, ord(sample.dtype.byteorder), sample.dtype.num)
    if found != expected:
        raise KernelError("this NumPy keeps its arrays in a way that kernels do not know; use NumPy 2 with CPython")


def compile_unit(unit: str) -> bytes:
    """The image of a unit's kernels. Raises KernelError when one does not compile, or needs memory of its own."""
    _check_layout_of_arrays()
    name, _, group = unit.partition(":")
    importlib.import_module(name)
    exports = {key: value for (key, of), value in device.EXPORTS[name].items() if of == group}
    stubs = ir.Module(unit)
    libraries = []
    table = {}
    for number, (key, export) in enumerate(exports.items()):
        arguments = tuple(numba_type(kind, group) for kind in export.parameters)
        try:
            export.function.compile(arguments)
        except NumbaError as error:
            raise KernelError(f"{unit}: {key} does not compile: {error}") from error
        compiled = export.function.overloads[arguments]
        expected = device.numba_type(export.result, group) if export.result else types.none
        if compiled.signature.return_type != expected:
            raise KernelError(f"{unit}: {key} returns {compiled.signature.return_type}, not {expected}")
        if number == 0:
            context = compiled.target_context
            codegen = context.codegen()
            triple, cpu, features = codegen.magic_tuple()
            stubs.triple = triple
            stubs.data_layout = str(codegen.target_data)
        symbol = f"gelap_{key}"
        _add_stub(context, stubs, symbol, compiled, export)
        libraries.append(compiled.library)
        table[key] = (symbol, export.parameters, export.result)
    linked = _linked(stubs, libraries, {symbol for symbol, _, _ in table.values()}, unit)
    target = binding.Target.from_triple(triple)
    machine = target.create_target_machine(cpu=cpu, features=features, opt=3, reloc="pic", codemodel="small")
    return make_image(machine.emit_object(linked), table)


def _linked(stubs: ir.Module, libraries: list[Any], public: set[str], unit: str) -> binding.ModuleRef:
    """One module of the stubs and the optimised kernels, with nothing that no stub needs."""
    linked = binding.parse_assembly(str(stubs))
    for library in libraries:
        linked.link_in(binding.parse_assembly(library.get_llvm_str()))
    for function in linked.functions:
        if function.is_declaration:
            continue
        function.linkage = "external" if function.name in public else "internal"
    for variable in linked.global_variables:
        if not variable.is_declaration:
            variable.linkage = "internal"
    passes = binding.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    machine = binding.Target.from_triple(linked.triple).create_target_machine()
    passes.run(linked, binding.create_pass_builder(machine, binding.create_pipeline_tuning_options()))
    linked.verify()
    missing = [
        function.name
        for function in linked.functions
        if function.is_declaration and not function.name.startswith("llvm.") and function.name not in C_FUNCTIONS
    ]
    missing += [variable.name for variable in linked.global_variables if variable.is_declaration]
    if missing:
        raise KernelError(f"the kernels of {unit} call {', '.join(sorted(missing))}, which is not in their image")
    return linked


def main() -> None:
    device.callable_from_python = False
    folder = Path(sys.argv[1])
    for line in sys.stdin:
        unit = line.strip()
        store(folder, unit, compile_unit(unit))
        print(unit, flush=True)


if __name__ == "__main__":
    main()
