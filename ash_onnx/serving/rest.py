"""The protocol over HTTP, on Starlette; KServe's `RESTServer` runs it under uvicorn."""

import time

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from ash_onnx.serving import messages
from ash_onnx.serving.gate import within
from ash_onnx.serving.kserve_sdk import V2Endpoints
from ash_onnx.serving.metrics import CONTENT_TYPE
from ash_onnx.serving.page import SECURITY_HEADERS, make_page
from ash_onnx.serving.refusals import BUSY, ENCODED, FAULT, SLOW_CLIENT, TOO_LARGE, Refused

HEADER_LENGTH = 'inference-header-content-length'
_LARGE_JSON = 2**15  # bytes; more is read on a worker, so that other requests go on
_DISCONNECTED = 499  # nobody reads it


class Rest:
    """The handlers of the routes.

    Args:
      dataplane: the `GuardedDataPlane`.
      gate, metrics, pace, settings: what both protocols share.
    """

    def __init__(self, dataplane, gate, metrics, pace, settings):
        self._dataplane, self._gate = dataplane, gate
        self._metrics, self._pace, self._settings = metrics, pace, settings
        self._endpoints = V2Endpoints(dataplane)
        self._received = 0  # bytes of bodies that are in memory
        self._page = make_page(dataplane)

    def application(self):
        """The ASGI application. It has no route that loads or unloads a model."""
        def versions(path, handler, **options):
            return [Route(f'/v2/models/{{name}}{version}{path}', handler, **options)
                    for version in ('', '/versions/{version}')]
        routes = [Route('/', self.page), Route('/metrics', self.metrics),
                  Route('/v2', self.metadata), Route('/v2/health/live', self.live),
                  Route('/v2/health/ready', self.ready), Route('/v2/models', self.models),
                  *versions('', self.model_metadata), *versions('/ready', self.model_ready),
                  *versions('/infer', self.infer, methods=['POST'])]
        return Starlette(routes=routes, exception_handlers={
            Refused: _refuse, HTTPException: _refuse_route, ClientDisconnect: _give_up,
            Exception: _fail})

    async def page(self, request):
        """GET /"""
        return Response(self._page, media_type='text/html', headers=SECURITY_HEADERS)

    async def metrics(self, request):
        """GET /metrics"""
        return Response(self._metrics.exposition(), headers={'content-type': CONTENT_TYPE})

    async def metadata(self, request):
        """GET /v2"""
        return _json(await self._endpoints.metadata())

    async def live(self, request):
        """GET /v2/health/live"""
        alive = (await self._dataplane.live())['status'] == 'alive'
        return _json({'live': alive}, 200 if alive else 503)

    async def ready(self, request):
        """GET /v2/health/ready"""
        ready = await self._dataplane.ready()
        return _json({'ready': ready}, 200 if ready else 503)

    async def models(self, request):
        """GET /v2/models"""
        return _json(await self._endpoints.models())

    async def model_metadata(self, request):
        """GET /v2/models/NAME[/versions/VERSION]"""
        return _json(await self._endpoints.model_metadata(self._model(request).name))

    async def model_ready(self, request):
        """GET /v2/models/NAME[/versions/VERSION]/ready"""
        name = self._model(request).name
        ready = await self._dataplane.model_ready(name)
        return _json({'name': name, 'ready': ready}, 200 if ready else 503)

    async def infer(self, request):
        """POST /v2/models/NAME[/versions/VERSION]/infer"""
        model = self._model(request)
        with self._metrics.request(model.name, 'http') as seen:
            try:
                response = await self._answer(request, model)
            except Refused as refused:
                seen.code = refused.reason.http
                if refused.reason is BUSY:
                    await self._pace.wait()
                raise
            except ClientDisconnect:
                raise
            except Exception:
                seen.code = FAULT.http
                raise
            seen.code = response.status_code
            return response

    def _model(self, request):
        return self._dataplane.find(**request.path_params)

    async def _answer(self, request, model):
        end = time.monotonic() + self._settings.time_limit
        held = []
        try:
            body = await within(self._settings.time_limit, self._read(request, held), SLOW_CLIENT,
                                'the request arrives too slowly')
            with self._gate.admitted():
                return await within(max(0.001, end - time.monotonic()),
                                    self._infer(request, model, body))
        finally:
            self._received -= sum(map(len, held))

    async def _read(self, request, held):
        """The body of a request, of limited length; its parts are put into `held`."""
        limit = self._settings.max_body
        if request.headers.get('content-encoding', 'identity') != 'identity':
            raise Refused(ENCODED, 'a body must not be compressed')
        if int(request.headers.get('content-length', 0)) > limit:
            raise Refused(TOO_LARGE, f'a request has at most {limit} bytes')
        length = 0
        async for part in request.stream():
            held.append(part)
            self._received += len(part)
            length += len(part)
            if length > limit:
                raise Refused(TOO_LARGE, f'a request has at most {limit} bytes')
            if self._received > self._settings.max_bodies:
                raise Refused(BUSY, 'too many requests are being received')
        return held[0] if len(held) == 1 else b''.join(held)

    async def _infer(self, request, model, body):
        header_length = request.headers.get(HEADER_LENGTH)
        decode = (model.name, model.signature, body, header_length, self._settings.max_json,
                  request.query_params.get('classification'))
        if header_length is None and len(body) > _LARGE_JSON:
            asked = await self._gate.run(messages.read_rest, *decode)
        else:
            asked = messages.read_rest(*decode)
        answer, _ = await self._dataplane.infer(model.name, asked)
        size = sum(output.data.nbytes for output in answer.outputs)
        if size > _LARGE_JSON:
            content, json_length = await self._gate.run(messages.write_rest, asked, answer)
        else:
            content, json_length = messages.write_rest(asked, answer)
        if json_length is None:
            return Response(content, media_type='application/json')
        return Response(content, media_type='application/octet-stream',
                        headers={HEADER_LENGTH: str(json_length)})


def _json(value, status=200):
    if hasattr(value, 'model_dump'):  # a model of pydantic, as KServe's answers are
        value = value.model_dump(exclude_none=True)
    return Response(orjson.dumps(value), status, media_type='application/json')


async def _refuse(request, refused):
    response = _json({'error': refused.message}, refused.reason.http)
    if refused.reason.retry_after is not None:
        response.headers['retry-after'] = str(refused.reason.retry_after)
    if refused.reason.close:
        response.headers['connection'] = 'close'
    return response


async def _refuse_route(request, error):
    """There is no such route, or not with this method."""
    response = _json({'error': f'{request.method} {request.url.path!r:.200}: {error.detail}'},
                     error.status_code)
    response.headers.update(error.headers or {})
    return response


async def _give_up(request, error):
    return Response(status_code=_DISCONNECTED)


async def _fail(request, error):
    # Starlette raises it again after the answer, and uvicorn logs it.
    return _json({'error': 'an error of the server; its log says more'}, FAULT.http)
