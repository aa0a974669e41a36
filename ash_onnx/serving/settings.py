"""Where the endpoint listens, and what it lets a client ask for."""

import math
import os
from dataclasses import dataclass, field

from ash_onnx.images import MAX_PIXELS


@dataclass(frozen=True)
class Settings:
    """Addresses and limits of the endpoint; tools/serve.py has an option for each.

    Attributes:
      host: the address that both protocols listen on; 127.0.0.1 is reached from this machine alone.
      http_port, grpc_port: 0 for any that is free.
      workers: requests that are worked on at the same time, each on a thread of its own.
      queue: requests that may wait for a worker; one more is refused.
      max_batch: examples in one request.
      max_body: bytes of one request, over either protocol.
      max_json: bytes of its JSON, which costs more to read than tensors in binary.
      max_bodies: bytes of all HTTP requests that are being received.
      max_pixels: of one image file, checked in its header, before it is decoded.
      max_connections: of HTTP; the one that has been idle for longest is closed for another.
      time_limit: seconds for a request, from its first byte to its answer.
      drain: seconds after SIGTERM in which requests are still taken, for load balancers to notice.
      grace: seconds after that for what is in flight.
      access_log: whether each request is a line on stdout.

    Raises:
      ValueError: a value of another type or range.
    """

    host: str = '127.0.0.1'
    http_port: int = 8080
    grpc_port: int = 8081
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    queue: int = 64
    max_batch: int = 64
    max_body: int = 2**24
    max_json: int = 2**22
    max_bodies: int = 2**27
    max_pixels: int = 2**24
    max_connections: int = 512
    time_limit: float = 10.0
    drain: float = 0.5
    grace: float = 10.0
    access_log: bool = False

    def __post_init__(self):
        for name, least, most in (
                ('http_port', 0, 65535), ('grpc_port', 0, 65535), ('workers', 1, 1024),
                ('queue', 0, 10**6), ('max_batch', 1, 10**6), ('max_body', 1024, 2**30),
                ('max_json', 1024, 2**28), ('max_bodies', 1024, 2**40),
                ('max_pixels', 1, MAX_PIXELS), ('max_connections', 8, 10**5)):
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise ValueError(f'{name} must be an integer from {least} to {most}, '
                                 f'got {value!r}')
        for name, least in (('time_limit', 1e-3), ('drain', 0), ('grace', 0)):
            value = getattr(self, name)
            if not (type(value) in (int, float) and least <= value < math.inf):
                raise ValueError(f'{name} must be a number of seconds, {least:g} or more, '
                                 f'got {value!r}')
