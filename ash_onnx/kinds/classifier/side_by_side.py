"""Forms of one classifier on the same labelled images: accuracy, agreement, size and latency."""

import time
from dataclasses import asdict, dataclass

import numpy as np

from ash_onnx.files import describe_others
from ash_onnx.kinds.classifier.evaluation import find_labelled_images, read_batches

BATCHES = (1, 32)
ROUNDS = 30  # timed calls of each at each batch, in turns


@dataclass(frozen=True)
class Side:
    """What was measured of one model.

    Attributes:
      name: what the caller calls it.
      form: how its ASH ran, as text.
      size: bytes of the file.
      top1: share of the images that were recognised, 0 to 1.
      agreement: share of the images whose predicted class is that of the first model.
      milliseconds: batch -> median time of a call.
    """

    name: str
    form: str
    size: int
    top1: float
    agreement: float
    milliseconds: dict

    def to_dict(self):
        """Returns it as JSON values."""
        return asdict(self)


def compare(models, image_dir, batch_size=64):
    """Measures models on the images of a folder tree, one folder a class.

    Args:
      models: dict of a name -> `Model`; the labels are those of the first.
      image_dir: as for `evaluation.evaluate`.
      batch_size: images in one run.

    Returns:
      A list of `Side`, in the order of the models.

    Raises:
      OSError, ValueError: as `evaluation.evaluate`; or a file is no image.
    """
    first = next(iter(models.values()))
    files, others = find_labelled_images(image_dir, first.labels)
    if others:
        raise ValueError(f'{image_dir}: {describe_others(others)}')
    guesses, classes = {name: [] for name in models}, []
    sample = None
    for images, right in read_batches(first, files, batch_size):
        sample = images if sample is None else sample
        classes.extend(right)
        for name, model in models.items():
            guesses[name].extend(model.run(images)[0].argmax(axis=1))
    times = {batch: _take_turns(models, sample[np.arange(batch) % len(sample)])
             for batch in BATCHES}
    guesses = {name: np.asarray(values) for name, values in guesses.items()}
    reference = guesses[next(iter(models))]
    return [Side(name, str(model.form), model.path.stat().st_size,
                 float((guesses[name] == np.asarray(classes)).mean()),
                 float((guesses[name] == reference).mean()),
                 {batch: times[batch][name] for batch in BATCHES})
            for name, model in models.items()]


def _take_turns(models, images):
    """Name -> median milliseconds of a call; in turns, so that other work slows each alike."""
    seconds = {name: [] for name in models}
    for i in range(ROUNDS + 2):
        for name, model in models.items():
            start = time.perf_counter()
            model.run(images)
            if i >= 2:
                seconds[name].append(time.perf_counter() - start)
    return {name: 1e3 * float(np.median(values)) for name, values in seconds.items()}


def format_sides(sides):
    """Returns a table of `Side`s as text."""
    columns = ['', 'top-1', 'agreement', 'size', *(f'batch {batch}' for batch in BATCHES), '']
    rows = [[side.name, f'{100 * side.top1:.2f} %', f'{100 * side.agreement:.2f} %',
             f'{side.size / 1e3:,.0f} kB',
             *(f'{side.milliseconds[batch]:.2f} ms' for batch in BATCHES), side.form]
            for side in sides]
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    return '\n'.join('  '.join(cell.ljust(width) if index in (0, len(widths) - 1) else
                               cell.rjust(width)
                               for index, (cell, width) in enumerate(zip(row, widths, strict=True))
                               ).rstrip() for row in [columns, *rows])
