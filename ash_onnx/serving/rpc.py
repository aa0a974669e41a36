"""The protocol over gRPC: KServe's servicer, behind guards."""

import asyncio
import logging
import time
from concurrent import futures

import grpc
from google.protobuf.message import DecodeError
from grpc_interceptor.server import AsyncServerInterceptor

from ash_onnx.serving import messages
from ash_onnx.serving.gate import within
from ash_onnx.serving.kserve_sdk import (
    GRPCServer,
    InferenceServicer,
    add_GRPCInferenceServiceServicer_to_server,
    pb,
)
from ash_onnx.serving.refusals import BUSY, FAULT, STOPPING, Refused, invalid

_LARGE = 2**15  # bytes of a message that is read on a worker
_OTHERS = 256  # calls at the same time beside those that the gate admits: health, metadata
_UNREADABLE = object()
_REFUSING = 0.2  # seconds in which calls are refused before the server stops
_log = logging.getLogger(__name__)
_access = logging.getLogger('ash_onnx.serving.access')


class Servicer(InferenceServicer):
    """KServe's servicer, whose requests are checked before they are read.

    Args:
      dataplane: the `GuardedDataPlane`.
      gate, metrics, settings: what both protocols share.
    """

    def __init__(self, dataplane, gate, metrics, settings):
        super().__init__(dataplane, None)
        self._gate, self._metrics, self._settings = gate, metrics, settings

    async def ModelReady(self, request, context):  # noqa: N802
        """See the protocol."""
        model = self._data_plane.find(request.name, request.version)
        return pb.ModelReadyResponse(ready=await self._data_plane.model_ready(model.name))

    async def ModelMetadata(self, request, context):  # noqa: N802
        """See the protocol."""
        model = self._data_plane.find(request.name, request.version)
        return pb.ModelMetadataResponse(**await self._data_plane.model_metadata(model.name))

    async def RepositoryModelLoad(self, request, context):  # noqa: N802
        """Refused: models are those that the server was started with."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, 'models are not loaded by requests')

    async def RepositoryModelUnload(self, request, context):  # noqa: N802
        """Refused, too."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, 'models are not unloaded by requests')

    async def ModelInfer(self, request, context):  # noqa: N802
        """See the protocol."""
        model = self._data_plane.find(request.model_name, request.model_version)
        with self._metrics.request(model.name, 'grpc') as seen:
            try:
                with self._gate.admitted():
                    response = await within(self._settings.time_limit, self._infer(request, model))
            except Refused as refused:
                seen.code = refused.reason.grpc.name
                raise
            except Exception:
                seen.code = FAULT.grpc.name
                raise
            seen.code = grpc.StatusCode.OK.name
            return response

    async def _infer(self, request, model):
        decode = messages.read_grpc, model.name, model.signature, request
        asked = await self._gate.run(*decode) if request.ByteSize() > _LARGE else (
            decode[0](*decode[1:]))
        answer, _ = await self._data_plane.infer(model.name, asked)
        return messages.write_grpc(answer)


class Guard(AsyncServerInterceptor):
    """Answers what is refused by its status, and an error by INTERNAL, without its words.

    Args:
      pace: the `Pace` of refusals, which both protocols share.
    """

    def __init__(self, pace):
        self._pace = pace
        self.stopping = False  # whether calls that come are refused

    async def intercept_service(self, continuation, handler_call_details):
        """Finds a call's handler; bytes that are no message get as far as `intercept`."""
        async def find(details):
            handler = await continuation(details)
            return handler and handler._replace(
                request_deserializer=_reader(handler.request_deserializer))
        return await super().intercept_service(find, handler_call_details)

    async def intercept(self, method, request_or_iterator, context, method_name):
        """See `AsyncServerInterceptor`."""
        begin, code = time.perf_counter(), grpc.StatusCode.OK
        try:
            if self.stopping:
                raise Refused(STOPPING, 'the server is stopping')
            if request_or_iterator is _UNREADABLE:
                raise invalid('the bytes of the request are no message of this call')
            return await method(request_or_iterator, context)
        except Refused as refused:
            code = refused.reason.grpc
            if refused.reason is BUSY:
                await self._pace.wait()
            if refused.reason.retry_after is not None:
                context.set_trailing_metadata([('retry-after', str(refused.reason.retry_after))])
            await context.abort(code, refused.message)
        except grpc.aio.AbortError:
            code = grpc.StatusCode.UNIMPLEMENTED
            raise
        except Exception:
            code = FAULT.grpc
            _log.exception('an error in %s', method_name)
            await context.abort(code, 'an error of the server; its log says more')
        finally:
            _access.info('%s grpc %s %s %.1f ms', context.peer(), method_name, code.name,
                         1e3 * (time.perf_counter() - begin))


def _reader(read):
    def read_or_mark(data):
        try:
            return read(data)
        except DecodeError:
            return _UNREADABLE
    return read_or_mark


class GuardedGrpcServer(GRPCServer):
    """KServe's `GRPCServer` on one address, whose port no other process may have, too.

    Attributes:
      port: the one that it listens on, after `start`.
    """

    def __init__(self, servicer, dataplane, settings, pace):
        super().__init__(settings.grpc_port, dataplane, None, {}, settings.grace)
        self._servicer, self._settings, self._guard = servicer, settings, Guard(pace)
        self.port = None

    async def start(self, max_workers=1):
        """Listens.

        Raises:
          OSError: the address cannot be had.
        """
        settings = self._settings
        self._server = grpc.aio.server(
            futures.ThreadPoolExecutor(max_workers), interceptors=[self._guard],
            maximum_concurrent_rpcs=settings.workers + settings.queue + _OTHERS,
            options=[('grpc.max_receive_message_length', settings.max_body),
                     ('grpc.max_send_message_length', -1), ('grpc.so_reuseport', 0),
                     ('grpc.max_concurrent_streams', settings.workers + settings.queue + _OTHERS)])
        add_GRPCInferenceServiceServicer_to_server(self._servicer, self._server)
        host = f'[{settings.host}]' if ':' in settings.host else settings.host
        try:
            self.port = self._server.add_insecure_port(f'{host}:{settings.grpc_port}')
        except RuntimeError as error:
            raise OSError(f'gRPC cannot listen on {host}:{settings.grpc_port}: {error}') from None
        await self._server.start()

    async def stop(self, sig=None):
        """Refuses the calls that come from now on, answers those in flight, and ends.

        gRPC cancels a call that it has received and not begun when it stops. So clients are told
        first that they get no more answers here.
        """
        self._guard.stopping = True
        await asyncio.sleep(_REFUSING)
        await super().stop(sig)
