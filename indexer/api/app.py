"""The HTTP API of an indexer: which path leads where.

Every endpoint is at `/v1/chains/{chain}/...`; where one chain is served, at `/v1/...` too. Analytics for all chains are
at `/v1/graphql`.
"""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from indexer import metrics
from indexer.api.graphql.endpoint import answering_queries
from indexer.api.http import guarded, no_such_path
from indexer.api.openapi import describe
from indexer.api.rest import ENDPOINTS, answering, chains
from indexer.api.served import Api

PREFIX, CHAIN_PREFIX = "/v1", "/v1/chains/{chain}"


def api_app(api: Api) -> Starlette:
    """The API with its description (`/openapi.json`), the probes `/healthz` and `/readyz`."""
    document = describe([each.operation for each in ENDPOINTS], one_chain=api.only_chain is not None)

    async def openapi(_: Request) -> Response:
        return JSONResponse(document)

    async def all_chains(_: Request) -> Response:
        return await chains(api)

    async def healthz(_: Request) -> Response:
        return JSONResponse({"alive": True})

    async def readyz(_: Request) -> Response:
        database_up = all(chain.tips.database_up for chain in api.chains.values())
        newest = {name: chain.tips.newest for name, chain in api.chains.items()}
        ready = database_up and any(each is not None and each.tip is not None for each in newest.values())
        phases = {name: known.phase.value for name in newest if (known := api.health.of(name)) is not None}
        return JSONResponse({"ready": ready, "database_up": database_up, "chains": phases}, 200 if ready else 503)

    routes = [Route(f"{PREFIX}/chains", guarded(api, "chains", all_chains), methods=["GET"])]
    for endpoint in ENDPOINTS:
        answer = guarded(api, endpoint.operation.name, answering(api, endpoint))
        routes += [
            Route(prefix + endpoint.operation.path, answer, methods=["GET"]) for prefix in (PREFIX, CHAIN_PREFIX)
        ]
    queries = guarded(api, "graphql", answering_queries(api))
    routes.append(Route(f"{PREFIX}/graphql", queries, methods=["POST", "OPTIONS"]))
    routes += [Route("/openapi.json", openapi), Route("/healthz", healthz), Route("/readyz", readyz)]
    return Starlette(routes=routes, exception_handlers={HTTPException: no_such_path})


def metrics_app() -> Starlette:
    """`/metrics`, for a listener that only operators reach."""

    async def read_metrics(_: Request) -> Response:
        return Response(metrics.exposition(), headers={"Content-Type": metrics.CONTENT_TYPE})

    return Starlette(routes=[Route("/metrics", read_metrics)])
