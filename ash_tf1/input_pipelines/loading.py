"""Batches of a split, in a reproducible order, prepared ahead of the session that takes them."""
import collections
import operator
import os
import queue
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ash_tf1.input_pipelines.dataset import stack_examples

MOST_WORKERS = 16  # threads, unless the caller asks for more


def steps_per_epoch(split, batch_size):
    """Counts the whole batches in a split: the batches of one epoch of `epoch_batches`.

    Args:
      split: a `Split` of N examples.
      batch_size: examples in a batch, 1..N.

    Returns:
      N // batch_size.

    Raises:
      ValueError: `batch_size` is smaller than 1 or larger than N.
    """
    if not 1 <= batch_size <= len(split):
        raise ValueError('batch_size must be in 1..{}, the examples of this split, '
                         'got {!r}'.format(len(split), batch_size))
    return len(split) // batch_size


def epoch_batches(split, batch_size, seed, epoch, transforms=(), start=0, workers=None):
    """Goes once through a split in random order, for training.

    Everything random follows from (seed, epoch, example) alone: the order of the examples is drawn
    from RandomState([seed, epoch, 0]), and example i of the split is transformed with
    RandomState([seed, epoch, 1 + i]). So neither the batch size nor the number of threads changes
    what an example becomes, and `start=k` gives the batches k, k + 1, ... of the full epoch, bit
    for bit, without making those before.

    Every batch is whole: the N % batch_size examples at the end of the epoch's order are left
    out, and as each epoch has its own order, others are left out in the next.

    Args:
      split: a `Split` of N examples.
      batch_size: B, examples in a batch, 1..N.
      seed: the run's seed, 0..2**32 - 1.
      epoch: number of the epoch, from 0, up to 2**32 - 1.
      transforms: functions (example, rng) -> example, applied in order; see
        `transforms.get_augmentation`. They must not keep rng.
      start: index of the first batch to give, 0..steps_per_epoch; the last gives no batch.
      workers: threads that make the examples; 0 for the caller's alone. None means 0 for a split
        in memory, and else one for each core, 2 to `MOST_WORKERS`.

    Returns:
      A generator of batches, dicts of new arrays [B, ...], such as `image`, uint8 [B, H, W, 3],
      and `label`, int64 [B]. Closing it ends the threads.

    Raises:
      ValueError: an argument is out of its range; raised by the call, before any batch is asked.
        What an example raises comes out in the place of its batch.
    """
    steps = steps_per_epoch(split, batch_size)
    if not 0 <= start <= steps:
        raise ValueError('start must be in 0..{} (the batches of an epoch), got {!r}'.format(
            steps, start))
    order = np.random.RandomState(_key(seed, epoch, 0)).permutation(len(split))
    chosen = [order[index * batch_size:(index + 1) * batch_size] for index in range(start, steps)]
    # Seeding a state again takes a tenth of the time of making one, and gives the same numbers.
    states = threading.local()

    def make(index):
        example = split[index]
        if not hasattr(states, 'rng'):
            states.rng = np.random.RandomState()
        states.rng.seed(_key(seed, epoch, 1 + index))
        for transform in transforms:
            example = transform(example, states.rng)
        return example

    return _batches(split, chosen, _count_workers(split, workers), make if transforms else None)


def ordered_batches(split, batch_size, workers=None):
    """Goes once through a split in its own order, for evaluation.

    Args:
      split: a `Split` of N examples.
      batch_size: B, examples in a batch, at least 1; may exceed N.
      workers: as for `epoch_batches`.

    Returns:
      A generator of batches as of `epoch_batches`, which gives every example once; the last
      batch may be smaller.

    Raises:
      ValueError: an argument is out of its range; raised by the call.
    """
    if batch_size < 1:
        raise ValueError('batch_size must be at least 1, got {!r}'.format(batch_size))
    chosen = [np.arange(first, min(first + batch_size, len(split)))
              for first in range(0, len(split), batch_size)]
    return _batches(split, chosen, _count_workers(split, workers), None)


def _count_workers(split, workers):
    if workers is None:
        # Other examples are decoded from files, which OpenCV does without the interpreter's lock.
        return 0 if split.in_memory else max(2, min(MOST_WORKERS, len(os.sched_getaffinity(0))))
    if workers < 0:
        raise ValueError('workers must be at least 0, got {!r}'.format(workers))
    return workers


def _batches(split, chosen, workers, make):
    """Gives a batch for each array of indices in `chosen`; `make` is None for plain examples."""
    if workers:
        return _made_by_threads(make or split.__getitem__, chosen, workers)
    if make is None:
        return (split.batch(indices) for indices in chosen)
    return (stack_examples([make(index) for index in indices]) for indices in chosen)


def _made_by_threads(make, chosen, workers):
    """Makes examples in threads, the next batch while the caller has the one before."""
    pending = collections.deque()
    with ThreadPoolExecutor(workers, thread_name_prefix='make_example') as pool:
        try:
            for indices in chosen:
                pending.append([pool.submit(make, index) for index in indices])
                if len(pending) > 1:
                    yield _collect(pending.popleft())
            while pending:
                yield _collect(pending.popleft())
        finally:  # what is not begun, is not waited for
            for futures in pending:
                for future in futures:
                    future.cancel()


def _collect(futures):
    try:
        return stack_examples([future.result() for future in futures])
    finally:
        for future in futures:  # after an error, the rest is of no use
            future.cancel()


def prefetch(iterator, depth=4):
    """Prepares items in a background thread while the caller works on those before.

    The thread starts when the first item is asked for and is at most `depth` items ahead. It ends
    with the iterator, and also when the returned generator is closed or forgotten: that waits for
    the one item that is being made, makes no more, and closes `iterator` where that can be closed.

    Args:
      iterator: any iterable; until the generator ends, only its thread may use it.
      depth: items held ready, at least 1.

    Returns:
      A generator of the same items in the same order. An exception that `iterator` raises comes
      out at the same place, with its traceback.

    Raises:
      ValueError: `depth` is smaller than 1; raised by the call.
    """
    if depth < 1:
        raise ValueError('depth must be at least 1, got {!r}'.format(depth))
    return _prefetched(iterator, depth)


# What the producer passes on: an item, the end of its iterator, or the exception that ended it.
_ITEM, _END, _ERROR = range(3)


def _prefetched(iterator, depth):
    messages = queue.SimpleQueue()
    free_slots = threading.Semaphore(depth)
    stopped = threading.Event()
    # The thread must hold no reference to this generator, or forgetting it would not end it.
    thread = threading.Thread(target=_produce, args=(iterator, messages, free_slots, stopped),
                              name='prefetch', daemon=True)
    thread.start()
    try:
        while True:
            kind, value = messages.get()
            if kind == _END:
                return
            if kind == _ERROR:
                try:
                    raise value
                finally:
                    del value  # its traceback holds this frame: a cycle otherwise
            free_slots.release()
            yield value
    finally:
        stopped.set()
        free_slots.release()  # wakes a producer that waits for a free slot
        # The garbage collector may end a forgotten generator from any thread, this one included,
        # and as late as the interpreter's end, when no daemon thread runs on to be waited for.
        if threading.current_thread() is not thread and not sys.is_finalizing():
            thread.join()


def _produce(iterator, messages, free_slots, stopped):
    """Body of the thread: takes a slot, then makes an item for it, until stopped or at the end."""
    try:
        items = iter(iterator)
        while True:
            free_slots.acquire()
            if stopped.is_set():
                if hasattr(items, 'close'):
                    items.close()  # ends the threads of the iterator's own
                return
            try:
                item = next(items)
            except StopIteration:
                break
            messages.put((_ITEM, item))
            del item  # or the last item would live on while this thread waits
        messages.put((_END, None))
    except BaseException as error:  # the consumer's to handle, whatever it is
        messages.put((_ERROR, error))


def _key(seed, epoch, index):
    # A list seeds all of the generator's state, so that neighbouring seeds, epochs and indices
    # give unrelated streams, and (seed, epoch) pairs cannot meet as in `seed + epoch`.
    key = [operator.index(value) for value in (seed, epoch, index)]
    for name, value in zip(('seed', 'epoch', 'example index'), key):
        if not 0 <= value < 2 ** 32:
            raise ValueError('{} must be in 0..2**32 - 1, got {!r}'.format(name, value))
    return key
