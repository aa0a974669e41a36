"""`labels.txt`, which an artifact may have for programs that do not read metadata."""

from ash_onnx.files import read_bounded

LABELS_FILE = 'labels.txt'
MAX_LABELS_BYTES = 2**26


def check_labels_file(path, labels):
    """Raises ValueError if the file is there and its lines are not the labels of the model."""
    if not path.exists():
        return
    try:
        lines = read_bounded(path, MAX_LABELS_BYTES).decode('utf-8').splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f'{path}: is not UTF-8') from error
    if len(lines) != len(labels):
        raise ValueError(f'{path}: has {len(lines)} lines, but the model has {len(labels)} labels')
    for number, (line, label) in enumerate(zip(lines, labels, strict=True), 1):
        if line != label:
            raise ValueError(f'{path}: line {number} is {line!r:.80}, but the model\'s label is '
                             f'{label!r:.80}')
