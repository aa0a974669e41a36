"""What a client may do with an HTTP connection, beside the requests on it."""

import asyncio
import select
import socket

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

BACKLOG = 2048  # connections that wait to be accepted
_ACCEPT_TRIES = 100
MAX_HEADER = 2**16  # bytes of the headers of one request
MAX_DISCARDED = 2**26  # bytes of a body that is too large, which are read for the answer to arrive


def make_protocol(settings, dataplane):
    """The class of uvicorn's protocol with the limits of `settings`, for a `GuardedDataPlane`."""
    return type('LimitedProtocol', (Limited,), {'settings': settings, 'dataplane': dataplane})


class Limited(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, which bounds headers, idle connections and what is not read.

    A connection has `time_limit` seconds for the headers of its first request, and uvicorn's time
    between requests. Of more than `max_connections` the one that has been idle for longest is
    closed.
    """

    settings = dataplane = None
    _in_body = False
    _unread = 0  # bytes of headers, or of a body after its answer
    _timer = None

    def connection_made(self, transport):
        """A client has connected."""
        super().connection_made(transport)
        self._waits_since = self.loop.time()
        self._limit_wait()
        if len(self.connections) > self.settings.max_connections:
            idle = [other for other in self.connections if other._is_idle()]
            # This one is idle, at least.
            min(idle, key=lambda other: other._waits_since).transport.close()

    def connection_lost(self, exc):
        """The connection has ended."""
        self._end_wait()
        super().connection_lost(exc)

    def data_received(self, data):
        """Bytes have arrived."""
        if self._is_idle():
            if self._unread > (MAX_DISCARDED if self._in_body else MAX_HEADER):
                self.send_400_response('Too many bytes.')
                return
            self._unread += len(data)
            self._limit_wait()
        super().data_received(data)

    def on_headers_complete(self):
        """The headers of a request are there."""
        self._end_wait()
        self._in_body = True
        super().on_headers_complete()
        if self.dataplane.stopping:  # so that none is idle, and may be in use again, at the end
            self.cycle.keep_alive = False

    def on_message_complete(self):
        """A request is there."""
        self._in_body, self._unread = False, 0
        super().on_message_complete()

    def on_response_complete(self):
        """An answer has been written."""
        self._waits_since = self.loop.time()
        if self._in_body:
            self._limit_wait()
        super().on_response_complete()

    def shutdown(self):
        """Ends the connection after the requests that have arrived, in part or in whole."""
        if not self._is_idle():
            self.cycle.keep_alive = False
        elif not self._is_readable():
            self.transport.close()

    def _limit_wait(self):
        if self._timer is None:
            self._timer = self.loop.call_later(self.settings.time_limit, self._close_if_idle)

    def _end_wait(self):
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _is_idle(self):
        return self.cycle is None or self.cycle.response_complete

    def _is_readable(self):
        """Whether bytes have arrived that the loop has not read yet."""
        return self._unread or select.select([self.transport.get_extra_info('socket')], [], [],
                                             0)[0]

    def _close_if_idle(self):
        if self._is_idle() and not self.transport.is_closing():
            self.transport.close()


async def accept_waiting(sock):
    """Lets nobody else into a listening socket's queue, and waits until the rest are accepted.

    Those have been told that they are connected, and may have sent their requests. The next are
    told nothing until the socket is closed, and refused then.
    """
    sock.listen(0)
    for _ in range(_ACCEPT_TRIES):
        await asyncio.sleep(0.01)
        if not select.select([sock], [], [], 0)[0]:
            return


def listen(protocol, host, port):
    """A listening socket.

    Raises:
      OSError: the address cannot be had; the message names the protocol and the address.
    """
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        sock = socket.socket(family, kind, number)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            sock.listen(BACKLOG)
        except OSError:
            sock.close()
            raise
    except OSError as error:
        raise OSError(f'{protocol} cannot listen on {host}:{port}: {error.strerror}') from error
    return sock
