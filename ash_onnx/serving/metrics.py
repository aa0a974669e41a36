"""What /metrics says, beside KServe's own times of a prediction and the process's memory."""

import contextlib
import time

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The endpoint's counters; safe to use from several threads.

    A registry of its own is beside that of the process, so that several can be made in one process.
    """

    def __init__(self):
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            'ash_requests', 'inference requests, by the status that was answered',
            ['model', 'protocol', 'code'], registry=registry)
        self._seconds = Histogram(
            'ash_request_seconds', 'from the headers of a request to its answer',
            ['model', 'protocol'], buckets=_SECONDS, registry=registry)
        self._batch = Histogram('ash_batch_size', 'examples in a request', ['model'],
                                buckets=_BATCHES, registry=registry)
        self.running = Gauge('ash_requests_running', 'requests that are worked on',
                             registry=registry)
        self.waiting = Gauge('ash_requests_waiting', 'requests that wait for a worker',
                             registry=registry)

    def exposition(self):
        """All there is, bytes in Prometheus's text format."""
        return generate_latest(REGISTRY) + generate_latest(self._registry)

    @contextlib.contextmanager
    def request(self, model, protocol):
        """Times one request; its body sets `code` of what it is given."""
        seen, begin = _Seen(), time.perf_counter()
        try:
            yield seen
        finally:
            self._requests.labels(model, protocol, seen.code).inc()
            self._seconds.labels(model, protocol).observe(time.perf_counter() - begin)

    def count_shed(self, protocol, code):
        """Counts a request that was refused before its model was looked for."""
        self._requests.labels('', protocol, code).inc()

    def batch(self, model, size):
        """Counts the examples of one request."""
        self._batch.labels(model).observe(size)


class _Seen:
    code = 'abandoned'  # where the client has gone, and nothing is answered
