"""Batches of a split, in a reproducible order, prepared ahead of the session that eats them."""
import operator
import queue
import sys
import threading

import numpy as np

from ash_tf1.input_pipelines.transforms import get_augmentation


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
    if not 1 <= batch_size <= len(split.labels):
        raise ValueError(f'batch_size must be in 1..{len(split.labels)}, the examples of this '
                         f'split, got {batch_size!r}')
    return len(split.labels) // batch_size


def epoch_batches(split, batch_size, seed, epoch, augmentation='none', start=0):
    """Goes once through a split in random order, for training.

    Everything random follows from (seed, epoch, batch index) alone: the order of the examples is
    drawn from RandomState([seed, epoch, 0]) and batch i is augmented from
    RandomState([seed, epoch, 1 + i]). So `start=k` gives the batches k, k + 1, ... of the full
    epoch, bit for bit, without making those before.

    Every batch is whole: the N % batch_size examples at the end of the epoch's order are left
    out, and as each epoch has its own order, others are left out in the next.

    Args:
        split: a `Split` of N examples.
        batch_size: B, examples in a batch, 1..N.
        seed: the run's seed, 0..2**32 - 1.
        epoch: number of the epoch, from 0, up to 2**32 - 1.
        augmentation: a name in `transforms.AUGMENTATIONS`.
        start: index of the first batch to give, 0..steps_per_epoch; the last gives no batch.

    Returns:
        An iterator of (images, labels): uint8 [B, H, W, 3] and int64 [B], new arrays.

    Raises:
        ValueError: an argument is out of its range; raised by the call, before any batch is asked.
    """
    steps = steps_per_epoch(split, batch_size)
    transforms = get_augmentation(augmentation)
    if not 0 <= start <= steps:
        raise ValueError(f'start must be in 0..{steps} (the batches of an epoch), got {start!r}')
    order = _random_state(seed, epoch, 0).permutation(len(split.labels))

    def batches():
        for index in range(start, steps):
            chosen = order[index * batch_size:(index + 1) * batch_size]
            images = split.images[chosen]
            rng = _random_state(seed, epoch, 1 + index)
            for transform in transforms:
                images = transform(images, rng)
            yield images, split.labels[chosen]

    return batches()


def ordered_batches(split, batch_size):
    """Goes once through a split in its own order, for evaluation.

    Args:
        split: a `Split` of N examples.
        batch_size: B, examples in a batch, at least 1; may exceed N.

    Returns:
        An iterator of (images, labels), uint8 [B, H, W, 3] and int64 [B], which gives every
        example once; the last batch may be smaller. They are views of the split: do not write.

    Raises:
        ValueError: `batch_size` is smaller than 1; raised by the call.
    """
    if batch_size < 1:
        raise ValueError(f'batch_size must be at least 1, got {batch_size!r}')
    return ((split.images[first:first + batch_size], split.labels[first:first + batch_size])
            for first in range(0, len(split.labels), batch_size))


def prefetch(iterator, depth=4):
    """Prepares items in a background thread while the caller works on those before.

    The thread starts when the first item is asked for and is at most `depth` items ahead. It ends
    with the iterator, and also when the returned generator is closed or forgotten: that waits for
    the one item that is being made, and makes no more.

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
        raise ValueError(f'depth must be at least 1, got {depth!r}')
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


def _random_state(seed, epoch, index):
    # An array seeds all of the generator's state, so that neighbouring seeds, epochs and indices
    # give unrelated streams, and (seed, epoch) pairs cannot meet as in `seed + epoch`.
    key = [operator.index(value) for value in (seed, epoch, index)]
    for name, value in zip(('seed', 'epoch', 'batch index'), key):
        if not 0 <= value < 2 ** 32:
            raise ValueError(f'{name} must be in 0..2**32 - 1, got {value!r}')
    return np.random.RandomState(key)
