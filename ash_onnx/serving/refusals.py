"""What a client is told where its request is refused: one line, and a code of each protocol."""

from dataclasses import dataclass

from grpc import StatusCode

from ash_onnx.files import shown

MAX_MESSAGE = 300  # characters; a message may hold what the client sent


@dataclass(frozen=True)
class Reason:
    """Why a request is refused.

    Attributes:
      http, grpc: the status over either protocol.
      retry_after: seconds after which a client may try again; None where that would not help.
      close: whether the HTTP connection ends, because its next bytes are no request.
    """

    http: int
    grpc: StatusCode
    retry_after: int | None = None
    close: bool = False


INVALID = Reason(400, StatusCode.INVALID_ARGUMENT)
NOT_FOUND = Reason(404, StatusCode.NOT_FOUND)
TOO_LARGE = Reason(413, StatusCode.RESOURCE_EXHAUSTED)
ENCODED = Reason(415, StatusCode.INVALID_ARGUMENT)
SLOW_CLIENT = Reason(408, StatusCode.DEADLINE_EXCEEDED, close=True)
BUSY = Reason(503, StatusCode.RESOURCE_EXHAUSTED, retry_after=1)
LATE = Reason(503, StatusCode.DEADLINE_EXCEEDED, retry_after=1)
STOPPING = Reason(503, StatusCode.UNAVAILABLE, retry_after=1)
FAULT = Reason(500, StatusCode.INTERNAL)


class Refused(Exception):  # noqa: N818  it is no error of this program
    """A request that is not answered.

    Attributes:
      reason: a `Reason`.
      message: one printable line.
    """

    def __init__(self, reason, message):
        super().__init__(message)
        self.reason = reason
        line = shown(' '.join(str(message).split()))
        self.message = line if len(line) <= MAX_MESSAGE else line[:MAX_MESSAGE - 3] + '...'


def invalid(message):
    """A `Refused` for a request that breaks the protocol or does not fit the model."""
    return Refused(INVALID, message)
