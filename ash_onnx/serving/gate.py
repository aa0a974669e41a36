"""How many requests are worked on, how many wait, and for how long."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor

from ash_onnx.serving.refusals import BUSY, LATE, Refused


class Gate:
    """Workers, and a queue of limited length before them; used from the event loop's thread.

    Args:
      workers: threads, each of which works on one request.
      queue: requests that may wait.
      metrics: a `Metrics`.
    """

    def __init__(self, workers, queue, metrics):
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix='worker')
        self._workers, self._queue = workers, queue
        self._metrics = metrics
        self._admitted = 0
        self._work = set()  # futures; a client that has gone does not stop a worker

    def check(self):
        """Raises `Refused` if all places among the workers and in the queue are taken."""
        if self._admitted >= self._workers + self._queue:
            raise Refused(BUSY, f'{self._workers} requests are worked on and {self._queue} wait: '
                                f'try again in {BUSY.retry_after} s')

    @contextlib.contextmanager
    def admitted(self):
        """Holds a place among the workers or in the queue; raises as `check`."""
        self.check()
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, change):
        self._admitted += change
        self._metrics.running.set(min(self._admitted, self._workers))
        self._metrics.waiting.set(max(0, self._admitted - self._workers))

    async def run(self, function, *arguments):
        """Runs a function on a worker, once one is free."""
        work = self._pool.submit(function, *arguments)
        self._work.add(work)
        work.add_done_callback(self._work.discard)
        return await asyncio.wrap_future(work)

    def close(self):
        """Starts nothing that waits. Returns whether all workers are at rest."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        return not self._work


async def within(seconds, work, reason=LATE, message='the answer takes too long'):
    """Awaits a coroutine, for a time; then cancels it.

    Raises:
      Refused: the time is over.
    """
    try:
        return await asyncio.wait_for(work, seconds)
    except asyncio.TimeoutError:
        raise Refused(reason, message) from None
