"""Starts KServe's servers behind the guards, and ends them without losing a request."""

import asyncio
import contextlib
import logging
import os
import signal
import sys

import uvicorn

from ash_onnx.serving.connections import BACKLOG, accept_waiting, listen, make_protocol
from ash_onnx.serving.dataplane import GuardedDataPlane
from ash_onnx.serving.gate import Gate
from ash_onnx.serving.kserve_sdk import ModelServer, RESTServer
from ash_onnx.serving.log import AccessLog
from ash_onnx.serving.metrics import Metrics
from ash_onnx.serving.rest import Rest
from ash_onnx.serving.rpc import GuardedGrpcServer, Servicer
from ash_onnx.serving.shedding import Pace, Shedding

_SWITCH_INTERVAL = 5e-4  # seconds
_log = logging.getLogger(__name__)


class GuardedServer(ModelServer):
    """KServe's `ModelServer`: one process, both protocols, on the address that it is told.

    Args:
      settings: the `Settings`.
      version: of this program, a string.
    """

    def __init__(self, settings, version):
        super().__init__(http_port=settings.http_port, grpc_port=settings.grpc_port,
                         enable_latency_logging=False, grace_period=settings.grace)
        self._settings, self._version = settings, version
        self.metrics = Metrics()
        self.gate = Gate(settings.workers, settings.queue, self.metrics)

    def report_stuck(self, message):
        """Says that a run does not stop: the server is not alive from now on."""
        _log.error('%s; the server is not alive', message)
        self.dataplane.stuck = True

    def start(self, models):
        """Serves until a signal comes.

        Args:
          models: list of `ArtifactModel`.

        Raises:
          OSError: an address cannot be had.
        """
        self.dataplane = GuardedDataPlane(models, self._version)
        settings = self._settings
        # A worker whose run has ended waits as long for the thread of the event loop, if that is
        # busy; Python's own 5 ms are longer than the runs of small nets.
        sys.setswitchinterval(_SWITCH_INTERVAL)
        # gRPC would say in several lines of its own that it cannot have the port.
        listen('gRPC', settings.host, settings.grpc_port).close()
        with contextlib.closing(listen('HTTP', settings.host, settings.http_port)) as sock:
            asyncio.run(self._serve_on(sock, models))
        if not self.gate.close():  # a thread that runs for ever would keep the process
            logging.shutdown()
            os._exit(0)

    async def _serve_on(self, sock, models):
        settings, loop, stopped = self._settings, asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        pace = Pace()
        application = Rest(self.dataplane, self.gate, self.metrics, pace, settings).application()
        rest = GuardedRestServer(
            AccessLog(Shedding(application, self.gate, self.metrics, pace)), self.dataplane,
            settings)
        rpc = GuardedGrpcServer(Servicer(self.dataplane, self.gate, self.metrics, settings),
                                self.dataplane, settings, pace)
        await rpc.start()
        serving = asyncio.create_task(rest.start(sock))
        host, port = sock.getsockname()[:2]
        host = f'[{host}]' if ':' in host else host
        _log.info('ash_onnx %s serves %s: http://%s:%d, gRPC on %s:%d', self._version,
                  ', '.join(model.name for model in models), host, port, host, rpc.port)
        await asyncio.wait([serving, asyncio.create_task(stopped.wait())],
                           return_when=asyncio.FIRST_COMPLETED)
        _log.info('stopping: no longer ready, requests are answered for %g s and those in flight '
                  'for %g s', settings.drain, settings.grace)
        self.dataplane.stopping = True
        await asyncio.sleep(settings.drain)
        await accept_waiting(sock)
        rest.stop()
        await asyncio.gather(rpc.stop(), serving)
        _log.info('stopped')


class GuardedRestServer(RESTServer):
    """KServe's `RESTServer`: uvicorn, with the application and the connections of this package."""

    def __init__(self, application, dataplane, settings):
        super().__init__(application, None, None, settings.http_port,
                         grace_period=settings.grace)
        config = self.config
        config.http, config.ws = make_protocol(settings, dataplane), 'none'
        config.lifespan, config.server_header, config.backlog = 'off', False, BACKLOG
        self._server = _Uvicorn(config)

    async def start(self, sock):
        """Serves on a socket that listens, until `stop`."""
        await self._server.serve([sock])

    def stop(self):
        """Answers what is in flight, and ends."""
        self._server.should_exit = True


class _Uvicorn(uvicorn.Server):
    def capture_signals(self):
        return contextlib.nullcontext()  # `GuardedServer` has them
