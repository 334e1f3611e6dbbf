"""`gelap seal`: a request's body for curl or grpcurl, its inputs sealed to the cluster."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from gelap.settings import Settings


def seal(
    circuit: Annotated[str, typer.Argument(help="The circuit's name in the cluster.")],
    inputs: Annotated[Path, typer.Argument(help="All inputs by name: a JSON object, numbers as strings.")],
    public: Annotated[Path, typer.Argument(help="The public inputs in the circuit's order: a JSON array.")],
    url: Annotated[
        str, typer.Option(envvar="GELAP_GATEWAY_URL", help="Where the gateway serves REST.")
    ] = "http://127.0.0.1:8080",
    pin: Annotated[
        str | None,
        typer.Option(envvar="GELAP_CLUSTER_KEY", help="Fingerprint of the cluster's key, from its operator."),
    ] = None,
    proxy: Annotated[str | None, typer.Option(help="Such as socks5h://127.0.0.1:9050.")] = None,
    ca_file: Annotated[str | None, typer.Option(help="PEM: trust this authority instead of the usual ones.")] = None,
    idempotency_key: Annotated[str, typer.Option(help="Makes the request safe to repeat.")] = "",
    grpc: Annotated[bool, typer.Option("--grpc", help="Print protobuf's JSON, as grpcurl takes it.")] = False,
) -> None:
    """Print the body of `POST /v1/prove` and `POST /v1/jobs` for these inputs; nothing readable of them is in it.

    The API key is in GELAP_API_KEY: what is sealed can be proved for its tenant only.
    """
    from google.protobuf import json_format

    from proto.errors import ProverClientError
    from proto.rest_client import RestProverClient, request_json
    from protocol.errors import ProtocolError
    from protocol.statements import decode_inputs

    try:
        values = decode_inputs(_read(inputs))
        words = [int(word) for word in _array(_read(public))]
        api_key = Settings().api_key
        if not api_key:
            raise ValueError("set GELAP_API_KEY to your API key")
        with RestProverClient(url, api_key, pin, proxy=proxy, ca_file=ca_file) as client:
            request = client.sealed_request(circuit, words, values, idempotency_key)
    except (ProverClientError, ProtocolError, ValueError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(json_format.MessageToJson(request) if grpc else json.dumps(request_json(request)))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None


def _array(content: bytes) -> list[Any]:
    try:
        document = json.loads(content)
    except ValueError:
        document = None
    if not isinstance(document, list) or not all(isinstance(each, str) and each.isdigit() for each in document):
        raise ValueError("the public inputs are a JSON array of decimal numbers as strings")
    return document
