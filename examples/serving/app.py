"""The HTTP service: adapt, predict, adapt_and_predict."""

import asyncio
import concurrent.futures
import os
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .batching import Batcher
from .checks import Refused
from .model import ADAPT, ADAPT_AND_PREDICT, Served, as_json


def make_app(
    served: Served, *, most_together: int = 16, wait: float = 0.002, most_bytes: int = 16 * 2**20, seconds: float = 30.0
) -> Starlette:
    """The service.

    Args:
        served: the model.
        most_together, wait: the largest number of adaptations in a batch (1: no batching), and the seconds that the
            first waits for others.
        most_bytes: of a request.
        seconds: that a request may take to arrive.
    """
    executor = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
    batcher = Batcher(served.run, executor, most_together, wait)

    async def fields_of(request: Request, names: tuple[str, ...]) -> dict[str, Any]:
        body = await _body(request, most_bytes, seconds)
        return await run_in_threadpool(served.read, body, names)

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok", "users": len(served.users)})

    async def model(request: Request) -> Response:
        return JSONResponse(served.describe() | {"most_bytes": most_bytes})

    async def adapt(request: Request) -> Response:
        fields = await fields_of(request, ADAPT)
        weights = await batcher(("adapt", 0), fields)
        return JSONResponse({"id": served.keep(weights)})

    async def predict(request: Request) -> Response:
        fields = await fields_of(request, ("id", "query_x"))
        found = await asyncio.get_running_loop().run_in_executor(
            executor, served.predict, fields["id"], fields["query_x"]
        )
        return JSONResponse({"predictions": as_json(found)})

    async def adapt_and_predict(request: Request) -> Response:
        fields = await fields_of(request, ADAPT_AND_PREDICT)
        # Batch norm takes its statistics from all rows of query_x: those with fewer cannot be filled up.
        found = await batcher(("adapt_and_predict", len(fields["query_x"])), fields)
        return JSONResponse({"predictions": as_json(found)})

    async def forget(request: Request) -> Response:
        served.forget(request.path_params["id"])
        return Response(status_code=204)

    routes = [
        Route("/health", health),
        Route("/model", model),
        Route("/adapt", adapt, methods=["POST"]),
        Route("/predict", predict, methods=["POST"]),
        Route("/adapt_and_predict", adapt_and_predict, methods=["POST"]),
        Route("/adapted/{id}", forget, methods=["DELETE"]),
    ]
    handlers: Any = {Refused: _refused, HTTPException: _http_error, ClientDisconnect: _gone}
    return Starlette(routes=routes, exception_handlers=handlers)


async def _body(request: Request, most_bytes: int, seconds: float) -> bytes:
    """The body of a request, read no further than the limit."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(f"content type {kind[:80]!r} is not allowed; expected 'application/json'", status=415)
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise Refused(f"content encoding {encoding[:80]!r} is not allowed; expected none", status=415)
    too_large = Refused(f"the request has more than {most_bytes} bytes, which is the most that is allowed", status=413)
    if int(request.headers.get("content-length", 0)) > most_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most_bytes:
                    raise too_large
    except TimeoutError:
        raise Refused(f"the request did not arrive within {seconds:g} seconds", status=408) from None
    return bytes(body)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    content = {"error": str(error)} | ({} if error.field is None else {"field": error.field})
    return JSONResponse(content, error.status)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse(
        {"error": f"{request.method} {request.url.path}: {error.detail}"}, error.status_code, error.headers
    )


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it
