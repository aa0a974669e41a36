"""Refuses requests while the gate is full, without taking the time of those that are answered."""

import asyncio

import orjson

from ash_onnx.serving.refusals import Refused

_RATE = 200  # refusals a second


class Pace:
    """Puts refusals of a full gate one after the other, at most `_RATE` a second.

    A client that tries again at once, and does not wait as it is told to, waits for its refusal
    instead. Hundreds of such clients would keep the event loop busy else: with refusals, and with
    health checks late.
    """

    def __init__(self):
        self._next = 0.0

    async def wait(self):
        """Returns when it is this refusal's turn."""
        now = asyncio.get_running_loop().time()
        turn = max(now, self._next)
        self._next = turn + 1 / _RATE
        await asyncio.sleep(turn - now)


class Shedding:
    """ASGI middleware: 503 for an inference request that the gate would refuse.

    The application refuses it too, but has read its body and found its model by then.

    Args:
      application: the ASGI application.
      gate, metrics, pace: what both protocols share.
    """

    def __init__(self, application, gate, metrics, pace):
        self._application, self._gate = application, gate
        self._metrics, self._pace = metrics, pace

    async def __call__(self, scope, receive, send):
        """See ASGI."""
        if scope['type'] == 'http' and scope['path'].endswith('/infer'):
            try:
                self._gate.check()
            except Refused as refused:
                await self._refuse(send, refused)
                return
        await self._application(scope, receive, send)

    async def _refuse(self, send, refused):
        self._metrics.count_shed('http', refused.reason.http)
        await self._pace.wait()
        body = orjson.dumps({'error': refused.message})
        await send({'type': 'http.response.start', 'status': refused.reason.http, 'headers': [
            (b'content-type', b'application/json'), (b'content-length', b'%d' % len(body)),
            (b'retry-after', b'%d' % refused.reason.retry_after)]})
        await send({'type': 'http.response.body', 'body': body})
