"""The log: lines on stderr, and one for each request on stdout where that is asked for."""

import logging
import logging.config
import time

from ash_onnx.files import shown

ACCESS = 'ash_onnx.serving.access'


def configure(access_log):
    """Sets up the loggers of this package, of KServe and of uvicorn.

    Args:
      access_log: whether each request is a line.
    """
    def stream(name):
        return {'class': 'logging.StreamHandler', 'stream': f'ext://sys.{name}',
                'formatter': 'line'}
    quiet = {'handlers': ['log'], 'level': 'WARNING', 'propagate': False}
    logging.config.dictConfig({
        'version': 1, 'disable_existing_loggers': False,
        'formatters': {'line': {'format': '%(asctime)s %(levelname)s %(message)s'}},
        'handlers': {'log': stream('stderr'), 'access': stream('stdout')},
        'loggers': {
            'ash_onnx': {'handlers': ['log'], 'level': 'INFO', 'propagate': False},
            ACCESS: {'handlers': ['access'], 'propagate': False,
                     'level': 'INFO' if access_log else 'WARNING'},
            # Each request that uvicorn cannot read would be a warning.
            'uvicorn.error': {**quiet, 'level': 'ERROR'}, 'uvicorn.access': {'level': 'WARNING'},
            'kserve': quiet, 'kserve.trace': quiet, 'grpc': quiet, 'asyncio': quiet}})


class AccessLog:
    """ASGI middleware that logs each HTTP request: client, method, path, status, milliseconds."""

    def __init__(self, application):
        self._application = application
        self._log = logging.getLogger(ACCESS)

    async def __call__(self, scope, receive, send):
        """See ASGI."""
        if scope['type'] != 'http' or not self._log.isEnabledFor(logging.INFO):
            await self._application(scope, receive, send)
            return
        begin, status = time.perf_counter(), None

        async def observe(message):
            nonlocal status
            status = message.get('status', status)
            await send(message)
        try:
            await self._application(scope, receive, observe)
        finally:
            client = scope.get('client') or ('?', 0)
            self._log.info('%s:%s %s %s %s %.1f ms', client[0], client[1], scope['method'],
                           shown(scope['path'])[:200], status, 1e3 * (time.perf_counter() - begin))
