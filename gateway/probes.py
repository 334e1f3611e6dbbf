"""What operators' tools ask a gateway: is it alive, is it ready, what does it count."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway import metrics
from gateway.health import Condition


def probe_routes(condition: Condition) -> Sequence[Route]:
    """`/healthz`: the process answers. `/readyz`: it should get calls; the body says why not.

    No probe asks Redis: `condition` is what the gateway saw within the last second.
    """

    async def healthz(_: Request) -> Response:
        return JSONResponse({"alive": True})

    async def readyz(_: Request) -> Response:
        body = {
            "ready": condition.ready,
            "store_up": condition.store_up,
            "draining": condition.draining,
            "workers_consume": condition.consuming,
        }
        return JSONResponse(body, 200 if condition.ready else 503)

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


def probes_app(condition: Condition) -> Starlette:
    """The probes and `/metrics`, for a listener that only operators reach."""

    async def read_metrics(_: Request) -> Response:
        return Response(metrics.exposition(), headers={"Content-Type": metrics.CONTENT_TYPE})

    return Starlette(routes=[*probe_routes(condition), Route("/metrics", read_metrics)])
