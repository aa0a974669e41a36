#!/usr/bin/env python3
"""Time an exported artifact under onnxruntime against the same frozen graph; see --help."""
import argparse
import csv
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import onnxruntime  # noqa: E402

import ash_onnx  # noqa: E402

COLUMNS = ('runtime', 'batch', 'median_ms', 'p25_ms', 'p75_ms', 'n', 'ratio_to_tensorflow',
           'machine', 'version')
BATCHES = (1, 32)
# The rival lives in the other environment, since one process cannot hold both; it answers each
# line with the seconds of one run, so that the two take turns.
RIVAL = '''
import sys, time, numpy as np, tensorflow.compat.v1 as tf
graph_def = tf.GraphDef()
graph_def.ParseFromString(open(sys.argv[1], 'rb').read())
images = tf.import_graph_def(graph_def, name='', return_elements=['images:0', 'probabilities:0'])
session = tf.Session()
data = {}
print(tf.__version__, flush=True)
for line in sys.stdin:
    batch = int(line)
    if batch not in data:
        shape = [batch] + images[0].shape.as_list()[1:]
        data[batch] = np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)
    start = time.perf_counter()
    session.run(images[1], {images[0]: data[batch]})
    print(time.perf_counter() - start, flush=True)
'''


def main(argv=None):
    parser = argparse.ArgumentParser(
        description='Time an artifact under onnxruntime, and its frozen graph under TensorFlow, in '
                    'turns. Writes OUT/serving.csv and prints it. Needs an artifact that was '
                    'exported with --keep-graph.',
        epilog='example: python benchmarks/serving.py --artifact runs/demo-digits-ash/artifact '
               '--out runs/bench')
    parser.add_argument('--artifact', metavar='DIR', default=None,
                        help='artifact folder with frozen_graph.pb '
                             '(default: checkpoints/resnet20-cifar10-ash)')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder for the CSV')
    parser.add_argument('--train-python', default=str(ROOT / '.venv/train/bin/python'),
                        metavar='PATH', help='Python with TensorFlow 1.15')
    parser.add_argument('--repeats', type=int, default=30, metavar='N')
    parser.add_argument('--warm-up', type=int, default=5, metavar='N')
    args = parser.parse_args(argv)
    artifact = Path(args.artifact or ROOT / 'checkpoints/resnet20-cifar10-ash')
    graph = artifact / 'frozen_graph.pb'
    if not graph.exists():
        parser.exit(2, f'{parser.prog}: error: {graph} is missing: export with --keep-graph\n')

    model = ash_onnx.load_model(str(artifact), provider='cpu')
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen([args.train_python, '-W', 'ignore', '-c', RIVAL, str(graph)], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '2'}) as rival, \
            (out / 'serving.csv').open('w', newline='') as handle:
        version = rival.stdout.readline().strip()
        writer = csv.DictWriter(handle, COLUMNS)
        writer.writeheader()
        for batch in BATCHES:
            for row in measure(model, rival, batch, args.warm_up, args.repeats, version):
                writer.writerow(row)
                print('batch {batch:>3}  {runtime:<12} {median_ms:>9} ms [{p25_ms}, {p75_ms}]  '
                      '{ratio_to_tensorflow} x tensorflow'.format(**row))
        rival.stdin.close()
    print(out / 'serving.csv')
    return 0


def measure(model, rival, batch, warm_up, repeats, version):
    """Times both runtimes in turns on random images; yields rows of COLUMNS."""
    images = np.random.RandomState(0).randint(0, 256, (batch, *model.input_shape)).astype(np.uint8)
    seconds = {'tensorflow': [], 'onnxruntime': []}
    for i in range(warm_up + repeats):
        rival.stdin.write(f'{batch}\n')
        rival.stdin.flush()
        theirs = float(rival.stdout.readline())
        start = time.perf_counter()
        model.run(images)
        ours = time.perf_counter() - start
        if i >= warm_up:
            seconds['tensorflow'].append(theirs)
            seconds['onnxruntime'].append(ours)
    base = np.median(seconds['tensorflow'])
    for runtime, values in seconds.items():
        low, median, high = 1e3 * np.percentile(values, (25, 50, 75))
        yield {'runtime': runtime, 'batch': batch, 'median_ms': f'{median:.3f}',
               'p25_ms': f'{low:.3f}', 'p75_ms': f'{high:.3f}', 'n': len(values),
               'ratio_to_tensorflow': f'{np.median(values) / base:.2f}',
               'machine': platform.machine(),
               'version': version if runtime == 'tensorflow' else onnxruntime.__version__}


if __name__ == '__main__':
    sys.exit(main())
