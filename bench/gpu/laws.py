"""The device's results against independent ones, at small and large sizes: what has to hold before any time counts."""

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np

from bench import circuits
from bench.errors import WrongResultError
from bench.gpu import sums, transforms
from bench.gpu.proofs import demand_proofs, make_key
from bench.inputs import field_elements
from protocol.field import R
from prover.devices.opened import ProvingDevice
from prover.errors import DeviceOutOfMemory
from prover.formats.proof import Proof
from prover.groth16 import prove as cpu
from prover.groth16.cuda import DeviceProver
from prover.groth16.prove import ProvingKey
from prover.kernels.cpu.vector import fr_mul_vector
from prover.kernels.cuda.device import Device
from prover.limbs import from_limbs
from prover.progress import silent
from prover.witness.cpu import solve

# As numbered in laws.cu.
_ADD, _MULTIPLY = 0, 2
_CHECKED = 4096
_FROM_MONTGOMERY = pow(2**256, -1, R)


def laws(owner: ProvingDevice, large: bool) -> Iterator[tuple[str, Callable[[], None]]]:
    """Each law by its name; calling it raises WrongResultError where it does not hold. large: sizes that take a GPU."""
    device = owner.device
    elements = 1 << 20 if large else 1 << 8
    sizes = [1 << k for k in ((1, 5, 11, 12, 16, 20) if large else (1, 4, 6))]
    points = [1, 2, 1000, 1 << 14, 1 << 18] if large else [1, 2, 70]
    yield "copies, streams and graphs", partial(owner.run, _device, device)
    yield "field arithmetic", partial(owner.run, _field, device, elements)
    yield "transforms", partial(_transforms, owner, sizes)
    for group in sums.GROUPS:
        yield f"sums in {group.upper()}", partial(_sums, owner, points, group)
    yield "proofs", partial(_proofs, owner, "spend" if large else "chain:240", 70 if large else 3)


def _transforms(owner: ProvingDevice, sizes: list[int]) -> None:
    # A measurement checks every output.
    owner.run(transforms.measure, owner.device, sizes, [1, 3], 1, silent)


def _sums(owner: ProvingDevice, points: list[int], group: str) -> None:
    owner.run(sums.measure, owner.device, points, [group], [1, 5], 1, silent)


def _device(device: Device) -> None:
    """What all others build on: memory both ways, streams that wait for each other, graphs, clean errors."""
    start = field_elements(1000)
    expected = start
    for _ in range(4):
        expected = fr_mul_vector(expected, start)
    waiting, result = device.pinned(start.shape, np.uint64), device.pinned(start.shape, np.uint64)
    waiting[...] = start
    base, value = device.empty(start.shape, np.uint64), device.empty(start.shape, np.uint64)
    kernel = device.kernel("laws", "fr_operation")

    def multiply() -> None:
        device.launch(kernel, 8, 128, (np.uint32(_MULTIPLY), value, value, base, np.uint32(len(start))))

    with device.stream(1):
        device.upload_async(base, waiting)
        device.copy(value, base)
        arrived = device.record()
    device.wait(arrived)
    multiply()
    graph = device.capture(multiply)
    for _ in range(3):
        graph.launch()
    multiplied = device.record()
    with device.stream(2):
        device.wait(multiplied)
        device.download_async(result, value)
    device.synchronize()
    _demand("copies, streams or graphs", np.array_equal(result, expected))
    device.fill_zero(value[10:20])
    _demand("a filled slice", np.flatnonzero(~device.download(value).any(axis=1)).tolist() == list(range(10, 20)))
    with suppress(DeviceOutOfMemory):
        device.empty(1 << 50, np.uint8)
        _demand("memory that is not there", False)
    _demand("an array after one that did not fit", np.array_equal(device.download(device.upload(start)), start))


def _field(device: Device, count: int) -> None:
    """(a b) c = a (b c) and a (b + c) = a b + a c for all, and a b as Python computes it for some."""

    def operation(code: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        out = device.empty((count, 4), np.uint64)
        arguments = (np.uint32(code), out, device.upload(a), device.upload(b), np.uint32(count))
        device.launch(device.kernel("laws", "fr_operation"), -(-count // 256), 256, arguments)
        return device.download(out)

    multiply, add = partial(operation, _MULTIPLY), partial(operation, _ADD)
    a, b, c = (field_elements(count) for _ in range(3))
    ab = multiply(a, b)
    some = [secrets.randbelow(count) for _ in range(min(count, _CHECKED))]
    products = [x * y * _FROM_MONTGOMERY % R for x, y in zip(from_limbs(a[some]), from_limbs(b[some]), strict=True)]
    _demand("products", from_limbs(ab[some]) == products)
    _demand("associativity", np.array_equal(multiply(ab, c), multiply(a, multiply(b, c))))
    _demand("distributivity", np.array_equal(multiply(a, add(b, c)), add(ab, multiply(a, c))))


def _proofs(owner: ProvingDevice, name: str, count: int) -> None:
    """Proofs are the CPU's point for point, valid in batches of any size, and valid when threads share the device."""
    circuit = circuits.build(name)
    zkey = make_key(owner, circuit, silent)
    prover = DeviceProver(owner, zkey, circuit=circuit)
    fresh = circuits.statements(circuit)
    statements = [fresh() for _ in range(8)]
    witnesses = [solve(circuit, statement)[0] for statement in statements]
    r, s = secrets.randbelow(R), secrets.randbelow(R)
    random = prover.blinding
    prover.blinding = lambda: (r, s)
    proof = prover.prove(witnesses[0])
    prover.blinding = random
    _demand("a proof with the CPU's blinding", proof == _cpu_proof(ProvingKey.from_zkey(zkey), witnesses[0], r, s))
    many = [place % len(statements) for place in range(count)]
    demand_proofs(prover.prove_many([witnesses[place] for place in many]))
    demand_proofs(prover.prove_statements([statements[place] for place in many]))
    with ThreadPoolExecutor(4) as threads:
        for outcomes in threads.map(prover.prove_many, [witnesses] * 4):
            demand_proofs(outcomes)
    prover.close()


def _cpu_proof(key: ProvingKey, witness: np.ndarray, r: int, s: int) -> Proof:
    """The CPU's proof with this blinding instead of a random one."""
    drawn = iter([r, s])
    with patch.object(cpu, "secrets", SimpleNamespace(randbelow=lambda _: next(drawn))):
        return cpu.prove(key, witness)


def _demand(what: str, holds: bool) -> None:
    if not holds:
        raise WrongResultError(f"{what}: the device computed wrongly")
