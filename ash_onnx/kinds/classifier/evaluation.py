"""Measures a model's accuracy on a folder tree of images, one folder a class."""

import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import numpy as np
from tqdm import tqdm

from ash_onnx.files import describe_others
from ash_onnx.images import find_images, read_image

READERS = 4  # threads; decoding releases the interpreter lock


@dataclass(frozen=True)
class ClassCount:
    """How many images of one class there were, and how many were recognised (top-1)."""

    label: str
    n: int
    correct: int

    @property
    def accuracy(self):
        """Share that was recognised, 0 to 1; None where the class has no images."""
        return self.correct / self.n if self.n else None


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` measured.

    Attributes:
      n: number of images.
      correct: number of those whose largest logit is the right class.
      correct_top5: the same for the five largest; None for a model of five classes or fewer.
      seconds: wall time of reading, decoding and running, without loading the model.
      provider: execution provider that it ran on.
      classes: tuple of `ClassCount`, one for each of the model's labels, in its order.
      others: tuple of the paths that were passed over, strings: no JPEG or PNG files.
    """

    n: int
    correct: int
    correct_top5: int | None
    seconds: float
    provider: str
    classes: tuple
    others: tuple = ()

    @property
    def top1(self):
        """Share of the images that were recognised, 0 to 1."""
        return self.correct / self.n

    @property
    def top5(self):
        """The same for the five largest logits; None for five classes or fewer."""
        return None if self.correct_top5 is None else self.correct_top5 / self.n

    @property
    def images_per_second(self):
        """n / seconds."""
        return self.n / self.seconds

    def to_dict(self):
        """Returns it as JSON values, shares included."""
        result = asdict(self)
        result.update(top1=self.top1, top5=self.top5, images_per_second=self.images_per_second)
        result['classes'] = [{**asdict(row), 'accuracy': row.accuracy} for row in self.classes]
        return result


def evaluate(model, image_dir, batch_size=64, quiet=False):
    """Classifies the images of a folder tree and counts how many are recognised.

    Args:
      model: a `Model`.
      image_dir: folder with one folder for each class, named by its label, with JPEG or PNG files
        in it, as `find_images` knows them. Other files are passed over, and named in the result; a
        label without a folder counts 0 images.
      batch_size: images in one run of the model, >= 1; the last batch may be smaller.
      quiet: no progress bar; without a terminal on stderr there is none either.

    Returns:
      An `Evaluation`.

    Raises:
      OSError: no such folder, or a file that cannot be read.
      ValueError: a folder that is no label, or a label that the model has twice; one without
        images, or with a folder in it; no images; a file that is a damaged image (an accuracy on
        the others would be another number); a batch size < 1; a model that answers NaN.
    """
    if type(batch_size) is not int or batch_size < 1:
        raise ValueError(f'batch_size must be an integer >= 1, got {batch_size!r}')
    files, others = find_labelled_images(image_dir, model.labels)
    n, correct = np.zeros((2, len(model.labels)), np.int64)
    correct_top5 = 0
    start = time.perf_counter()
    # disable=None: tqdm looks itself whether stderr is a terminal.
    with tqdm(total=len(files), unit='image', disable=True if quiet else None) as bar:
        for images, classes in read_batches(model, files, batch_size):
            logits, _ = model.run(images)
            if not np.isfinite(logits).all():
                raise ValueError(f'{image_dir}: the model answers NaN or infinite logits')
            ranks = _ranks(logits, classes)
            np.add.at(n, classes, 1)
            np.add.at(correct, classes, ranks == 0)
            correct_top5 += int((ranks < 5).sum())
            bar.update(len(images))
    seconds = time.perf_counter() - start
    rows = tuple(ClassCount(label, int(a), int(b))
                 for label, a, b in zip(model.labels, n, correct, strict=True))
    return Evaluation(len(files), int(correct.sum()),
                      correct_top5 if len(model.labels) > 5 else None,
                      seconds, model.provider, rows, tuple(map(str, others)))


def find_labelled_images(image_dir, labels):
    """Lists a folder tree's images with the class that each folder's name stands for.

    Args:
      image_dir: see `evaluate`.
      labels: sequence of the C labels.

    Returns:
      (list of (path, class index), sorted by path; list of the paths of other files).

    Raises:
      OSError, ValueError: see `evaluate`.
    """
    loose, entries = find_images(image_dir)
    files, others = [], loose + [path for path in entries if not path.is_dir()]
    for folder in (path for path in entries if path.is_dir()):
        if folder.name not in labels:
            some = ', '.join(labels[:10]) + (', ...' if len(labels) > 10 else '')
            raise ValueError(f'{folder}: the model has no label {folder.name!r}; '
                             f'its labels are {some}')
        if labels.count(folder.name) > 1:
            raise ValueError(f'{folder}: the model has the label {folder.name!r} '
                             f'{labels.count(folder.name)} times; which one is meant?')
        found, rest = find_images(folder)
        nested = next((path for path in rest if path.is_dir()), None)
        if nested:
            raise ValueError(f'{nested}: a folder in the folder of a label, where only images of '
                             'that label are expected')
        if not found:
            raise ValueError(f'{folder}: no JPEG or PNG images in this folder')
        files += [(path, labels.index(folder.name)) for path in found]
        others += rest
    if not files:
        raise ValueError(f'{image_dir}: no JPEG or PNG images in folders named by their label')
    return files, others


def _ranks(logits, classes):
    """How many logits come before the right one, [N]; of equal ones the lower index comes first."""
    right = np.take_along_axis(logits, classes[:, None], axis=1)
    index = np.arange(logits.shape[1])[None, :]
    before = (logits > right) | ((logits == right) & (index < classes[:, None]))
    return before.sum(axis=1)


def read_batches(model, files, batch_size):
    """Yields (images, class indices), read ahead by threads while the caller runs the last one."""
    executor = ThreadPoolExecutor(READERS, thread_name_prefix='read_image')
    try:
        waiting, rest = deque(), iter(files)
        while True:
            while len(waiting) < 2 * batch_size and (item := next(rest, None)):
                read = executor.submit(read_image, item[0], model.input_shape, model.preprocessing)
                waiting.append((read, item[1]))
            if not waiting:
                return
            batch = [waiting.popleft() for _ in range(min(batch_size, len(waiting)))]
            yield (np.stack([future.result() for future, _ in batch]),
                   np.array([index for _, index in batch]))
    finally:
        executor.shutdown(cancel_futures=True)


def format_evaluation(result):
    """Returns an `Evaluation` as text for people, several lines."""
    lines = [f'images  {result.n}',
             f'top-1   {result.top1:.2%} ({result.correct} correct)']
    if result.top5 is not None:
        lines.append(f'top-5   {result.top5:.2%} ({result.correct_top5} correct)')
    lines += [f'speed   {result.images_per_second:.1f} images/s on {result.provider}, '
              'reading included']
    if result.others:
        lines.append(describe_others(result.others))
    lines.append('')
    width = max([5, *(len(row.label) for row in result.classes)])
    lines.append(f'{"class":<{width}}  {"n":>7}  {"correct":>7}  accuracy')
    for row in result.classes:
        accuracy = '-' if row.accuracy is None else f'{row.accuracy:.2%}'
        lines.append(f'{row.label:<{width}}  {row.n:>7}  {row.correct:>7}  {accuracy:>8}')
    return '\n'.join(lines)
