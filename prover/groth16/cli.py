"""`gelap ptau`, `gelap setup`, `gelap prove` and `gelap verify`.

Each command imports what it needs when it runs: a proof takes a few tenths of a second, and must not wait for the
modules of the setup.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prover.command import FAILED, collection_paused, reported_errors, starts_fast
from prover.progress import on_terminal

if TYPE_CHECKING:
    import numpy as np

    from prover.devices.opened import ProvingDevice
    from prover.formats.proof import Proof
    from prover.r1cs import R1CS

ptau = typer.Typer(no_args_is_help=True, add_completion=False, help="Make powers of tau (development only).")


@ptau.callback()
def _ptau() -> None:
    """Make powers of tau (development only)."""


@ptau.command()
def new(
    power: Annotated[int, typer.Argument(min=1, max=20, help="Circuits up to 2^POWER constraints.")],
    file: Annotated[Path, typer.Argument(help="The .ptau file to write, prepared for phase 2.")],
) -> None:
    """Make powers of tau on this machine, FOR DEVELOPMENT ONLY.

    Whoever runs this could keep its secret and forge proofs under every key made from the file. For anything of value
    take the file of a public ceremony instead.
    """
    from prover.groth16.ceremony import new_powers_of_tau

    typer.echo(
        "These powers of tau are for DEVELOPMENT ONLY: whoever makes them could forge proofs. "
        "For anything of value take the file of a public ceremony.",
        err=True,
    )
    with reported_errors(), on_terminal("powers of tau") as progress:
        new_powers_of_tau(power, file, progress)


def setup(
    ptau: Annotated[Path, typer.Option(help="Powers of tau, prepared for phase 2.")],
    out: Annotated[Path, typer.Option(help="The .zkey file to write.")],
    r1cs: Annotated[Path | None, typer.Option(help="The circuit's constraints.", show_default=False)] = None,
    circuit: Annotated[
        str | None, typer.Option(help="One of Gelap's circuits, instead of --r1cs.", show_default=False)
    ] = None,
    vkey: Annotated[
        Path | None, typer.Option(help="Also write the verification key as JSON.", show_default=False)
    ] = None,
) -> None:
    """Make a proving key from a circuit and powers of tau.

    One phase-2 contribution is added. With nobody else's, whoever runs this could forge proofs: let independent people
    contribute (`snarkjs zkey contribute`) before using the key for anything of value.
    """
    from prover.formats.ptau import read_ptau
    from prover.formats.verification_key import write_verification_key
    from prover.formats.zkey import write_zkey
    from prover.groth16 import setup as groth16
    from prover.groth16.verification_key import verification_key

    with reported_errors(), on_terminal("setup") as progress:
        constraints = _constraints(r1cs, circuit)
        key = groth16.setup(constraints, read_ptau(ptau), progress)
        write_zkey(out, key)
        if vkey is not None:
            write_verification_key(vkey, verification_key(key))


def _constraints(r1cs: Path | None, circuit: str | None) -> "R1CS":
    from prover.errors import InputError
    from prover.formats.r1cs import read_r1cs
    from prover.statements import registry

    if r1cs is not None and circuit is None:
        return read_r1cs(r1cs)
    if circuit is not None and r1cs is None:
        return registry.build(circuit).r1cs
    raise InputError("name the circuit with either --r1cs FILE or --circuit NAME")


def _compile_kernels() -> None:
    """On the first run after an installation, tell what the command is waiting for."""
    from prover.kernels.build import build, missing, proof_units

    units = proof_units()
    if missing(units):
        with on_terminal("first run") as progress:
            build(units, progress)


@starts_fast
def prove(
    zkey: Annotated[Path, typer.Option(help="The proving key.")],
    wtns: Annotated[Path, typer.Option(help="The witness.")],
    proof: Annotated[Path, typer.Option(help="The proof to write, as JSON.")],
    public: Annotated[Path, typer.Option(help="The public inputs to write, as JSON.")],
    device: Annotated[
        str | None,
        typer.Option(envvar="GELAP_DEVICE", help="auto, cuda, cuda:N or cpu. Default: auto.", show_default=False),
    ] = None,
) -> None:
    """Prove a witness with a proving key; the proof is verified before it is written."""
    with collection_paused(), reported_errors():
        from prover.devices.opened import open_device
        from prover.formats.proof import write_proof, write_public
        from prover.formats.wtns import read_wtns
        from prover.groth16 import prove as groth16
        from prover.limbs import from_limbs

        witness = read_wtns(wtns)
        _, owner = open_device(device)
        if owner is None:
            _compile_kernels()
            key = groth16.ProvingKey.load(zkey)
            made, n_public = groth16.prove(key, witness), key.n_public
        else:
            with owner:
                made, n_public = _prove_on_device(owner, zkey, witness)
        write_public(public, from_limbs(witness[1 : n_public + 1]))
        write_proof(proof, made)


def _prove_on_device(owner: "ProvingDevice", zkey: Path, witness: "np.ndarray") -> "tuple[Proof, int]":
    """The proof, and the number of public inputs."""
    from prover.devices.choice import fallback_to_cpu
    from prover.formats.zkey import read_zkey
    from prover.groth16.cuda import CpuFallback, DeviceProver

    fallback = CpuFallback(zkey).prove if fallback_to_cpu() else None
    prover = DeviceProver(owner, read_zkey(zkey), fallback, batch=1)
    return prover.prove(witness), prover.n_public


@starts_fast
def verify(
    vkey: Annotated[Path, typer.Option(help="The verification key, as JSON.")],
    proof: Annotated[Path, typer.Option(help="The proof, as JSON.")],
    public: Annotated[Path, typer.Option(help="The public inputs, as JSON.")],
) -> None:
    """Verify a proof: exit code 0 when valid, 1 when invalid, 2 when a file is malformed or does not fit the others."""
    with collection_paused(), reported_errors():
        from prover.formats.proof import read_proof, read_public
        from prover.formats.verification_key import read_verification_key
        from prover.groth16 import verify as groth16

        _compile_kernels()
        valid = groth16.verify(read_verification_key(vkey), read_public(public), read_proof(proof))
    typer.echo("valid" if valid else "invalid")
    if not valid:
        raise typer.Exit(FAILED)
