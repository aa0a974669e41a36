"""Other forms of an artifact: float16, int8, and with fused ops for servers of others.

Each is a full artifact, with the test data of its source, a tolerance that was measured for it, and
metadata that say what was done. ASH itself stays float32 in all of them: the sum of squares of a
layer is soon beyond float16's 65,504.
"""

import contextlib
import heapq
import io
import json
import logging
import os
import platform
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from ash_onnx import fusing, native
from ash_onnx.artifact import MODEL_FILE
from ash_onnx.comparison import Tolerance
from ash_onnx.loading import load_artifact
from ash_onnx.recorded import find_test_data
from ash_onnx.verify import verify

FLOAT16, INT8, FUSED = 'float16', 'int8', 'fused'
# The tolerance of an artifact is twice the difference that was measured, and no less than that.
LEAST_TOLERANCE = {FLOAT16: 1e-3, INT8: 1e-2}
PERCENTILE = 99.99


def optimize(artifact, out, form, images=None, reduce_range=False):
    """Writes another form of an artifact.

    Args:
      artifact: the artifact folder, or the ONNX file in it.
      out: folder to make; must not exist.
      form: `float16`, `int8` or `fused`.
      images: `int8` alone: a uint8 array [N, height, width, 3] of what the classifier is for, by
        which ranges are chosen.
      reduce_range: `int8` alone: 7 bits for weights, for processors without VNNI, where sums of
        products of 8 bits saturate.

    Returns:
      The `verify.Verification` of what was written.

    Raises:
      FileNotFoundError, ValueError: as `load_artifact` and `verify`; `out` exists; images are
        missing or do not fit; the op's library cannot be had; a form of which nothing comes.
    """
    out = Path(out)
    if out.exists():
        raise ValueError(f'{out} exists: give another folder')
    source = load_artifact(artifact, fused=False)
    model = converted(source, form, images, reduce_range)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='.partial-', dir=out.parent) as scratch:
        folder = Path(scratch) / 'new'
        folder.mkdir()
        for data in find_test_data(source.folder):
            shutil.copytree(data, folder / data.name)
        for name in source.companions:
            if (source.folder / name).exists():
                shutil.copy(source.folder / name, folder)
        onnx.save(model, folder / MODEL_FILE)
        if form == FUSED:
            shutil.copy(native.library('cpu'), folder)
        else:
            _measure_tolerance(source, folder, model, form)
        result = verify(load_artifact(folder))
        os.rename(folder, out)
    return result


def converted(source, form, images=None, reduce_range=False):
    """Returns the model of an artifact in another form, an `onnx.ModelProto`; its metadata say so.

    Args:
      source: the model, as from `load_artifact` without fused ops.
      form, images, reduce_range: as for `optimize`.

    Raises:
      ValueError: as for `optimize`.
    """
    model = onnx.load(source.path)
    if form == INT8:
        model = _to_int8(source, model, images, reduce_range)
    elif form == FLOAT16:
        model = _to_float16(model)
    elif form != FUSED:
        raise ValueError(f'the form must be {FLOAT16}, {INT8} or {FUSED}, got {form!r}')
    elif not fusing.fuse(model):
        raise ValueError(f'{source.path}: has no ASH to fuse')
    _describe(model, form, images, reduce_range)
    return model


def _to_float16(model):
    """float16 between casts of what goes in and out; ASH and the softmax in float32."""
    from onnxruntime.transformers import float16

    types = fusing.infer_types(model)
    bodies = fusing.fuse(model)
    known = {value.name for value in model.graph.value_info}
    for name, (dtype, dims) in types.items():  # the converter goes by them, and knows no op of ours
        if name not in known and dims is not None:
            model.graph.value_info.append(onnx.helper.make_tensor_value_info(
                name, dtype, [f'{name}_{i}' if dim is None else dim
                              for i, dim in enumerate(dims)]))
    model = float16.convert_float_to_float16(
        model, keep_io_types=True, disable_shape_infer=True,
        op_block_list=[*float16.DEFAULT_OP_BLOCK_LIST, fusing.OP, 'Softmax'])
    fusing.restore(model, bodies)
    return _tidied(model)


def _tidied(model):
    """In order, and without the shapes of before and constants that nothing reads any more."""
    graph = model.graph
    used = {name for node in graph.node for name in node.input}
    _replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in used])
    _replace(graph.node, _in_order(graph))
    _replace(graph.value_info, [])
    _replace(model.opset_import,
             [opset for opset in model.opset_import if opset.domain != fusing.DOMAIN])
    onnx.checker.check_model(model)
    return model


def _replace(field, values):
    del field[:]
    field.extend(values)


def _in_order(graph):
    """The nodes of a graph, each after those that it reads; otherwise in the order they have."""
    made_by = {name: index for index, node in enumerate(graph.node) for name in node.output}
    waits = [{made_by[name] for name in node.input if name in made_by} for node in graph.node]
    readers = {}
    for index, sources in enumerate(waits):
        for source in sources:
            readers.setdefault(source, []).append(index)
    ready = [index for index, sources in enumerate(waits) if not sources]
    heapq.heapify(ready)
    ordered = []
    while ready:
        index = heapq.heappop(ready)
        ordered.append(graph.node[index])
        for reader in readers.get(index, ()):
            waits[reader].remove(index)
            if not waits[reader]:
                heapq.heappush(ready, reader)
    return ordered


class _Feeds:
    """What onnxruntime calls a calibration data reader; it needs batches of one size."""

    def __init__(self, feeds):
        self._feeds = iter(feeds)

    def get_next(self):
        return next(self._feeds, None)


def _to_int8(source, model, images, reduce_range):
    """Conv and MatMul with 8 bits, by QuantizeLinear and DequantizeLinear around them."""
    from onnxruntime import quantization

    feeds = source.calibration_feeds(images)
    with tempfile.TemporaryDirectory(prefix='ash-onnx-') as scratch:
        path = Path(scratch) / MODEL_FILE
        with _quiet():
            quantization.quantize_static(
                model, path, _Feeds(feeds), op_types_to_quantize=['Conv', 'MatMul'],
                per_channel=True, reduce_range=reduce_range,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                calibrate_method=quantization.CalibrationMethod.Percentile,
                extra_options={'CalibPercentile': PERCENTILE})
        quantized = onnx.load(path)
    _replace(quantized.metadata_props, model.metadata_props)
    return quantized


@contextlib.contextmanager
def _quiet():
    """Without what onnxruntime's quantisation prints of how far it is, and without its advice."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def _describe(model, form, images, reduce_range):
    """Says in the metadata what was done, with what and on which processor."""
    done = {'form': form, 'onnxruntime': onnxruntime.__version__, 'processor': processor()}
    if form == INT8:
        done.update(images=len(images), percentile=PERCENTILE, reduce_range=reduce_range)
    _set_metadata(model, 'optimized', json.dumps(done))


def _measure_tolerance(source, folder, model, form):
    """Writes the tolerance into the model: how far its answers to the test data are, twice.

    Integers may differ only where the source lets them: otherwise they may be indices, of which a
    distance says nothing.
    """
    levels = source.metadata.get('tolerance', {}).get('integer_levels', 0)
    _set_tolerance(model, Tolerance(1.0, levels))
    onnx.save(model, folder / MODEL_FILE)
    found = verify(load_artifact(folder, fused=False))
    integers, others = [], []
    for row in found.differences:
        (integers if levels and np.dtype(row.dtype).kind in 'iu' else others).append(row)
    largest = max((row.max_rel_difference for row in others), default=0)
    relative = max(LEAST_TOLERANCE[form], float(f'{2 * largest:.1e}'))
    if not relative <= 1:
        raise ValueError(f'{form} gives other answers: a relative difference of {largest:.1e}')
    distances = [2 * int(row.max_abs_difference) for row in integers]
    _set_tolerance(model, Tolerance(relative, max([levels, *distances])))
    onnx.save(model, folder / MODEL_FILE)


def _set_tolerance(model, tolerance):
    _set_metadata(model, 'tolerance', json.dumps(asdict(tolerance)))


def _set_metadata(model, key, value):
    kept = [entry for entry in model.metadata_props if entry.key != key]
    _replace(model.metadata_props, [*kept, onnx.StringStringEntryProto(key=key, value=value)])


def processor():
    """Returns the name of this machine's processor, and whether it has VNNI."""
    try:
        text = Path('/proc/cpuinfo').read_text(encoding='utf-8')
    except OSError:
        return platform.processor() or platform.machine()
    lines = dict(line.split(':', 1) for line in text.splitlines() if ':' in line)
    fields = {key.strip(): value.strip() for key, value in lines.items()}
    vnni = 'vnni' in fields.get('flags', '')
    return f'{fields.get("model name", platform.machine())}, {"" if vnni else "no "}VNNI'
