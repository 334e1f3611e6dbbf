"""The REST interface as a table: from it come the routes, and the description that `/openapi.json` gives."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from gateway.calls import Calls, waiting_time
from gateway.rest import models
from gateway.rest.streams import job_events, until_hung_up
from worker.errors import InvalidRequestError

Handler = Callable[[Calls, str, Request, Any], Awaitable[Response | BaseModel]]


@dataclass(frozen=True)
class Parameter:
    """Of the path or the query, as its place in the path says."""

    name: str
    description: str
    kind: str = "string"


@dataclass(frozen=True)
class Operation:
    """`name` is the gRPC method's where there is one, so that metrics of both interfaces agree.

    `body` and `answer` are models; an operation without `answer` gives `media` instead.
    """

    method: str
    path: str
    name: str
    summary: str
    handler: Handler
    body: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    media: str = "application/json"
    parameters: tuple[Parameter, ...] = ()


_WAIT = Parameter("wait", "Seconds to wait, 3600 at most.", "number")
_ID = Parameter("id", "The job's id.")


async def _prove(calls: Calls, key: str, request: Request, body: models.ProveRequest) -> BaseModel:
    message = _with_header(request, body).message()
    return models.Job.of(await until_hung_up(request, calls.prove(key, message, waiting_time(_seconds(request)))))


async def _submit(calls: Calls, key: str, request: Request, body: models.ProveRequest) -> Response:
    job = models.Job.of(await calls.submit(key, _with_header(request, body).message()))
    return JSONResponse(job.model_dump(), 202, {"Location": f"/v1/jobs/{job.id}"})


async def _job(calls: Calls, key: str, request: Request, _: None) -> BaseModel:
    wait = _seconds(request)
    answer = calls.job(key, request.path_params["id"], 0.0 if wait is None else waiting_time(wait))
    return models.Job.of(await until_hung_up(request, answer))


async def _watch(calls: Calls, key: str, request: Request, _: None) -> Response:
    watch = calls.watch(key, request.path_params["id"])
    # The first one before the status: what is wrong with the request is still a problem of its own then.
    first = await anext(watch)
    return StreamingResponse(
        job_events(first, watch), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )


async def _cancel(calls: Calls, key: str, request: Request, _: None) -> BaseModel:
    return models.Job.of(await calls.cancel(key, request.path_params["id"]))


async def _circuits(calls: Calls, key: str, _: Request, __: None) -> BaseModel:
    listed = (await calls.circuits(key)).circuits
    return models.Circuits(circuits=[models.Circuit.of(circuit) for circuit in listed])


async def _circuit(calls: Calls, key: str, request: Request, _: None) -> BaseModel:
    answer = await calls.circuit(key, request.path_params["name"])
    return models.CircuitDetails(
        circuit=models.Circuit.of(answer.circuit), verification_key=json.loads(answer.verification_key_json)
    )


async def _verify(calls: Calls, key: str, request: Request, body: models.VerifyRequest) -> BaseModel:
    answer = await until_hung_up(request, calls.verify(key, body.message(), waiting_time(_seconds(request))))
    return models.Verification(valid=answer.valid)


async def _cluster_key(calls: Calls, key: str, _: Request, __: None) -> BaseModel:
    answer = await calls.cluster_key(key)
    return models.ClusterKey(public_key=answer.public_key.hex(), fingerprint=answer.fingerprint.hex())


async def _manifest(calls: Calls, key: str, _: Request, __: None) -> Response:
    return JSONResponse(await calls.manifest(key))


async def _proving_key(calls: Calls, key: str, request: Request, _: None) -> Response:
    digest = request.path_params["sha256"]
    path = await calls.proving_key(key, digest)
    # Under its digest a file never changes, so a part fetched yesterday can be completed today.
    headers = {"ETag": f'"{digest}"', "Cache-Control": "private, max-age=31536000, immutable"}
    return FileResponse(path, headers=headers, media_type="application/octet-stream")


OPERATIONS = (
    Operation(
        "POST", "/v1/prove", "Prove", "Prove a statement and wait for the proof", _prove,
        models.ProveRequest, models.Job, parameters=(_WAIT,),
    ),
    Operation(
        "POST", "/v1/jobs", "Submit", "Queue a statement for proving; answers 202 with the job at once", _submit,
        models.ProveRequest, models.Job,
    ),
    Operation(
        "GET", "/v1/jobs/{id}", "GetJob", "A job as it is now or, with `wait`, when it has ended", _job,
        answer=models.Job, parameters=(_ID, _WAIT),
    ),
    Operation(
        "GET", "/v1/jobs/{id}/events", "WatchJob",
        "The job now and after every change of its state, as server-sent events; the stream ends with the job", _watch,
        media="text/event-stream", parameters=(_ID,),
    ),
    Operation(
        "DELETE", "/v1/jobs/{id}", "CancelJob", "End a job that has not ended yet", _cancel,
        answer=models.Job, parameters=(_ID,),
    ),
    Operation("GET", "/v1/circuits", "ListCircuits", "The circuits that the cluster has keys for", _circuits,
              answer=models.Circuits),
    Operation(
        "GET", "/v1/circuits/{name}", "GetCircuit", "A circuit and its verification key", _circuit,
        answer=models.CircuitDetails, parameters=(Parameter("name", "The circuit's name."),),
    ),
    Operation(
        "POST", "/v1/verify", "Verify", "Check a proof on a worker and wait for the answer", _verify,
        models.VerifyRequest, models.Verification, parameters=(_WAIT,),
    ),
    Operation("GET", "/v1/cluster-key", "GetClusterKey", "The key that inputs are sealed to", _cluster_key,
              answer=models.ClusterKey),
    Operation("GET", "/v1/manifest", "GetManifest", "The key folder's manifest.json", _manifest),
    Operation(
        "GET", "/v1/keys/{sha256}", "GetProvingKey", "A proving key's file by its digest; takes ranges", _proving_key,
        media="application/octet-stream",
        parameters=(Parameter("sha256", "SHA-256 of the file, as in the manifest, hexadecimal."),),
    ),
)  # fmt: skip


def _seconds(request: Request) -> float | None:
    """How long the caller wants to wait. Raises InvalidRequestError."""
    text = request.query_params.get("wait")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 1e9:
        raise InvalidRequestError("wait is a number of seconds")
    return seconds


def _with_header(request: Request, body: models.ProveRequest) -> models.ProveRequest:
    key = request.headers.get("idempotency-key", "")
    if key and body.idempotency_key and key != body.idempotency_key:
        raise InvalidRequestError("two idempotency keys, one in the header and another in the body: send one")
    return body.model_copy(update={"idempotency_key": body.idempotency_key or key})
