"""Trains nets for a step or some and exports them: the TensorFlow side's part of test_every_net.py.

    export_nets.py OUT [--full] NET [KEY=VALUE] ...

writes OUT/NET/run and OUT/NET/artifact for each net, its options among the names of the files, and
OUT/NET/result.json with what it cost, or with the error. By default a net is thin: of full width
but with one unit, or two dense layers, in each block, at 32x32, and trained for a step. --full
takes what it was published for, and trains until BatchNorm's averages have settled: without that
the features of a deep net grow from unit to unit, and with them every rounding.
"""
import json
import os
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'tools'))
import _train_side  # noqa: E402, F401
import numpy as np  # noqa: E402

from ash_tf1 import input_pipelines, nets, training  # noqa: E402
from ash_tf1.converting import runs  # noqa: E402
from ash_tf1.input_pipelines import ArraySplit, LabelledImages  # noqa: E402
from ash_tf1.nets import densenet, resnet  # noqa: E402
from ash_tf1.training import plotting  # noqa: E402
from ash_tf1.training.settings import Settings  # noqa: E402

BATCH, SAMPLES = 2, 2
THIN_STEPS, FULL_STEPS = 1, 40  # 0.9 ** 40 = 1.5 % is left of an average's first value


def make_thin():
    """Has the builders make fewer units than they are told to."""
    build_units, build_densenet = resnet._resnet, densenet.densenet

    def thin_resnet(inputs, stem, blocks, *rest):
        return build_units(inputs, stem, [block._replace(units=1) for block in blocks], *rest)

    def thin_densenet(inputs, kind, *rest):
        return build_densenet(inputs, kind._replace(layers=2), *rest)

    resnet._resnet, densenet.densenet = thin_resnet, thin_densenet


def noise(shape, classes, training_images):
    """A data set of noise."""
    def load(data_dir=None):
        rng = np.random.RandomState(0)
        train, test = (ArraySplit(image=rng.randint(0, 256, (count,) + shape).astype(np.uint8),
                                  label=np.arange(count) % classes)
                       for count in (training_images, SAMPLES))
        return LabelledImages('noise', train, test, test, tuple(map(str, range(classes))),
                              (128.0,) * 3, (70.0,) * 3)
    return load


def train_and_export(net, options, full, folder):
    shape, classes = nets.reference_task(net)
    steps = FULL_STEPS if full else THIN_STEPS
    input_pipelines.DATASETS['noise'] = noise(shape if full else (32, 32, 3), classes,
                                              BATCH * steps)
    # A rate so low that what is exported still gives logits of an ordinary size.
    settings = Settings(net=net, net_options=options, dataset='noise', activation='ash',
                               steps=steps, batch_size=BATCH, eval_batch_size=SAMPLES, log_every=1,
                               learning_rate=1e-4, augmentation='crop')
    start = time.perf_counter()
    result = training.train(settings, os.path.join(folder, 'run'), progress=False,
                            report=lambda line: None)
    trained = time.perf_counter()
    exported = runs.export(os.path.join(folder, 'run'), os.path.join(folder, 'artifact'),
                             samples=SAMPLES, keep_graph=full)
    return dict(steps=result.step, nodes=dict(exported.nodes), bytes=exported.size,
                train_seconds=trained - start, export_seconds=time.perf_counter() - trained)


def main(out, *names):
    full = '--full' in names
    if not full:
        make_thin()
    plotting.plot_learning_curve = lambda run_dir, metrics: None  # a point would be all it shows
    for label in names:
        if label == '--full':
            continue
        folder = os.path.join(out, label)
        os.makedirs(folder)
        net, *options = label.split()
        try:
            result = train_and_export(net, tuple(options), full, folder)
        except Exception:  # one net's failure is that net's, and told by its test
            result = dict(error=traceback.format_exc())
        with open(os.path.join(folder, 'result.json'), 'w', encoding='utf-8') as handle:
            json.dump(result, handle)
        print(label, result.get('error', '%.0f s' % (
            result.get('train_seconds', 0) + result.get('export_seconds', 0))), flush=True)


if __name__ == '__main__':
    main(*sys.argv[1:])
