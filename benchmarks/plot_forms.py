#!/usr/bin/env python3
"""Draw forms.csv of benchmarks/forms.py as bars; needs matplotlib, which .venv/train has."""
import csv
import sys

import _plotting


def main(argv):
    source, path = argv
    with open(source, newline='', encoding='utf-8') as handle:
        rows = list(csv.DictReader(handle))
    _plotting.bars(path, [
        ('{net}, batch {batch}'.format(**row), row['candidate'], float(row['ratio_to_relu']))
        for row in rows if row['candidate'] != 'relu'],
        'Exported nets under onnxruntime {onnxruntime} ({machine}, {threads} thread)'.format(
            **rows[0]),
        'time of the processor, as a multiple of ReLU\'s', ticks=[0.5, 0.7, 1, 1.4, 2])
    print(path)


if __name__ == '__main__':
    main(sys.argv[1:])
