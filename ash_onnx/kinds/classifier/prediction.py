"""Classifies image files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ash_onnx.files import shown
from ash_onnx.images import find_images, read_image

BATCH_SIZE = 32


@dataclass(frozen=True)
class Prediction:
    """What a model sees in one file.

    Attributes:
      path: the file, a string as it was given.
      top: tuple of (label, probability), the most probable first.
    """

    path: str
    top: tuple

    def to_dict(self):
        """Returns it as JSON values."""
        return {'path': self.path,
                'top': [{'label': label, 'probability': p} for label, p in self.top]}


def predict(model, paths, top=5, on_error=None, on_other=None):
    """Classifies image files.

    Args:
      model: a `Model`.
      paths: iterable of paths of JPEG or PNG files; a folder stands for the images in it, sorted.
      top: how many labels for each, >= 1; at most all the model has.
      on_error: called as `on_error(path, error)` for each path that cannot be read, which is left
        out then; None raises the error.
      on_other: called as `on_other(path)` for each file in a folder that is no image, and for each
        folder in it, which are passed over.

    Returns:
      List of `Prediction`, in the order of the paths.

    Raises:
      OSError, ValueError: as `read_image`; a folder without images; `top` < 1; a model that
        answers NaN.
    """
    if type(top) is not int or top < 1:
        raise ValueError(f'top must be an integer >= 1, got {top!r}')
    results, names, images = [], [], []
    for name, image in _read_all(model, paths, on_error, on_other):
        names.append(name)
        images.append(image)
        if len(images) == BATCH_SIZE:
            results += _classify(model, names, images, top)
            names, images = [], []
    if images:
        results += _classify(model, names, images, top)
    return results


def _read_all(model, paths, on_error, on_other):
    for path in paths:
        try:
            names = _expand(path, on_other)
        except (OSError, ValueError) as error:
            if on_error is None:
                raise
            on_error(str(path), error)
            continue
        for name in names:
            try:
                image = read_image(name, model.input_shape, model.preprocessing)
            except (OSError, ValueError) as error:
                if on_error is None:
                    raise
                on_error(name, error)
                continue
            yield name, image


def _expand(path, on_other):
    if not Path(path).is_dir():
        return [str(path)]
    found, others = find_images(path)
    if not found:
        raise ValueError(f'{path}: no JPEG or PNG image in this folder')
    for other in others if on_other else ():
        on_other(str(other))
    return [str(image) for image in found]


def _classify(model, names, images, top):
    _, probabilities = model.run(np.stack(images))
    results = []
    for name, row in zip(names, probabilities, strict=True):
        if not np.isfinite(row).all():
            raise ValueError(f'{name}: the model answers NaN for this image')
        best = np.argsort(-row, kind='stable')[:top]
        results.append(Prediction(name, tuple((model.labels[i], float(row[i])) for i in best)))
    return results


def format_predictions(predictions):
    """Returns predictions as a table for people: a line for each label of each image."""
    image_width = max([5, *(len(shown(p.path)) for p in predictions)])
    label_width = max([5, *(len(label) for p in predictions for label, _ in p.top)])
    lines = [f'{"image":<{image_width}}  {"label":<{label_width}}  probability']
    for prediction in predictions:
        for rank, (label, probability) in enumerate(prediction.top):
            name = '' if rank else shown(prediction.path)
            lines.append(f'{name:<{image_width}}  {label:<{label_width}}  {probability:>11.4f}')
    return '\n'.join(lines)
