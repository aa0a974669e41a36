#!/usr/bin/env python3
"""Time nets with ASH in its forms under onnxruntime against ReLU and Swish; see --help."""
import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import _measuring  # noqa: E402
import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402

import ash_onnx  # noqa: E402
from ash_onnx import fusing, optimizing  # noqa: E402
from ash_onnx.loading import load_artifact  # noqa: E402
from ash_onnx.optimizing import FLOAT16, INT8  # noqa: E402

# Net -> batches.
NETS = {'resnet_v2_20': (1, 32), 'densenet_bc_100_12': (1, 8, 32), 'resnet_v1_50': (1, 8),
        'vgg_19': (1, 4, 8)}
# What is compared: the activation, the form that tools/optimize.py gives the artifact, or None, and
# whether ASH is fused.
CANDIDATES = {'relu': ('relu', None, False), 'swish': ('swish', None, False),
              'ash portable': ('ash', None, False), 'ash fused': ('ash', None, True),
              'float16, ash fused': ('ash', FLOAT16, True),
              'int8, ash fused': ('ash', INT8, True)}
CALIBRATION_IMAGES = 8
RIVAL = 'relu'
COLUMNS = ('net', 'batch', 'candidate', 'processor_ms', 'processor_p25_ms', 'processor_p75_ms',
           'ratio_to_relu', *_measuring.SPREAD, 'time_ratio_to_relu', 'nodes_an_ash', 'provider',
           'threads', 'machine', 'onnxruntime')
LINE = ('{net:<18} batch {batch:>2}  {candidate:<18} {processor_ms:>9} ms of processor '
        '[{processor_p25_ms}, {processor_p75_ms}]  {ratio_to_relu} x relu;  {median_ms:>9} ms '
        '[{p25_ms}, {p75_ms}]  {time_ratio_to_relu} x')


def main(argv=None):
    parser = argparse.ArgumentParser(
        description='Times nets with random weights under onnxruntime, in turns: with ReLU, Swish, '
                    'ASH as portable nodes and fused, and the latter in float16 and int8. Writes '
                    'OUT/forms.csv and OUT/forms.png, and prints medians and quartiles of the time '
                    'of a call and of the time of processors that the process took, which other '
                    'programs on the machine move less.',
        epilog='example: python benchmarks/forms.py --out runs/bench --nets resnet_v2_20')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder for CSV and nets')
    parser.add_argument('--nets', nargs='+', default=list(NETS), choices=NETS)
    parser.add_argument('--provider', default='cpu', choices=ash_onnx.PROVIDERS)
    parser.add_argument('--threads', type=int, default=1, metavar='N',
                        help='within one operator (default: %(default)s)')
    parser.add_argument('--train-python', default=str(ROOT / '.venv/train/bin/python'),
                        metavar='PATH', help='Python with TensorFlow 1.15, which makes the nets')
    parser.add_argument('--seconds', type=float, default=12, metavar='S',
                        help='about how long to time a net at a batch (default: %(default)s)')
    args = parser.parse_args(argv)
    nets = Path(args.out) / 'nets'
    subprocess.run([args.train_python, '-W', 'ignore', str(ROOT / 'benchmarks/export_nets.py'),
                    '--out', str(nets), *args.nets], check=True)
    with _measuring.Table(str(Path(args.out) / 'forms.csv'), COLUMNS, LINE) as table:
        for net in args.nets:
            models = {name: ash_onnx.load_model(in_form(nets / f'{net}-{activation}', form),
                                                args.provider, args.threads, fused=fused)
                      for name, (activation, form, fused) in CANDIDATES.items()}
            for batch in NETS[net]:
                for row in measure(models, batch, args.seconds):
                    table.add(dict(row, net=net, provider=args.provider, threads=args.threads))
    subprocess.run([args.train_python, '-W', 'ignore', str(ROOT / 'benchmarks/plot_forms.py'),
                    table.path, str(Path(args.out) / 'forms.png')], check=True)
    return 0


def in_form(artifact, form):
    """The model of an artifact in a form, made unless it is there. It has no test data.

    The answers of nets with random weights are worth nothing in int8: only their time is measured.
    """
    if form is None:
        return artifact
    path = artifact.with_name(f'{artifact.name}-{form}') / 'model.onnx'
    if not path.exists():
        source = load_artifact(artifact, fused=False)
        images = None
        if form == INT8:
            images = np.random.RandomState(1).randint(
                0, 256, (CALIBRATION_IMAGES, *source.input_shape)).astype(np.uint8)
        model = optimizing.converted(source, form, images)
        path.parent.mkdir(exist_ok=True)
        onnx.save(model, path)
        print(path.parent, flush=True)
    return path


def measure(models, batch, seconds):
    """Times models in turns on random images; yields rows of COLUMNS."""
    shape = (batch, *models[RIVAL].input_shape)
    images = np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)
    runs = {name: lambda model=model: model.run(images) for name, model in models.items()}
    start = time.perf_counter()
    _measuring.take_turns(runs, 1, 1)
    rounds = int(min(300, max(5, seconds / (time.perf_counter() - start) * 2)))
    clocks = (time.perf_counter, time.process_time)
    passed, processor = _measuring.take_turns(runs, 3, rounds, clocks)
    for name, model in models.items():
        spread = _measuring.spread(processor[name])
        layers = max(1, model.form.layers)
        yield dict(_measuring.spread(passed[name]), batch=batch, candidate=name,
                   processor_ms=spread['median_ms'], processor_p25_ms=spread['p25_ms'],
                   processor_p75_ms=spread['p75_ms'],
                   ratio_to_relu=_ratio(processor, name), time_ratio_to_relu=_ratio(passed, name),
                   nodes_an_ash='' if not model.form.layers else
                   1 if model.form.fused else _nodes(model) // layers,
                   machine=_measuring.machine(), onnxruntime=onnxruntime.__version__)


def _ratio(seconds, name):
    return f'{np.median(seconds[name]) / np.median(seconds[RIVAL]):.3f}'


def _nodes(model):
    """How many nodes fusing takes away, and one for each op that comes in their place."""
    proto = onnx.load(model.path)
    before = len(proto.graph.node)
    layers = len(fusing.fuse(proto))
    return before - len(proto.graph.node) + layers


if __name__ == '__main__':
    sys.exit(main())
