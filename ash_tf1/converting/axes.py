"""Names for the axes of an ONNX model's inputs and outputs whose size is not known.

Two axes have one name only where shape inference proves that they have one size: a runtime takes
equal names for equal sizes, and checks nothing.
"""
import numpy as np
import onnx
from onnx import helper

BATCH = 'N'
_SIZES = (5040, 10080)  # that are tried; of many divisors, so that reshapes come out even
_MOST_ELEMENTS = 64  # of a constant on whose value a shape may depend


def name_axes(model, one_batch=False):
    """Names every axis of unknown size of a model's inputs and outputs, in place.

    The first axis of an input is the batch, `N`. Where several inputs leave it open, it is so for
    the first of them, and for each that only fits the graph with the same size. Another open axis
    of an input is called INPUT_dim_AXIS. An axis of an output has the name of the input's axis
    whose size it always has, or its size where that turns out to be constant, or else
    OUTPUT_dim_AXIS.

    Args:
      model: a ModelProto.
      one_batch: whether the first axes of all inputs are known to have one size.
    """
    inputs, skeleton = model.graph.input, _without_weights(model)
    for value in inputs:
        _name_each(value)
    first, *others = [axes[0] for axes in map(_open_axes, inputs) if 0 in axes] or [None]
    batches = [dim for dim in others
               if one_batch or _must_agree(skeleton, inputs, first.dim_param, dim.dim_param)]
    for dim in batches + [first] * (first is not None):
        dim.dim_param = BATCH
    for value in model.graph.output:
        _name_each(value)
    for name in dict.fromkeys(dim.dim_param for value in inputs
                              for dim in _open_axes(value).values()):
        shapes = [_output_shapes(skeleton, inputs, {name: size}) or {} for size in _SIZES]
        for value in model.graph.output:
            for axis, dim in _open_axes(value).items():
                found = tuple(shape.get((value.name, axis)) for shape in shapes)
                if found == _SIZES:
                    dim.dim_param = name
                elif found[0] and found[0] == found[1]:
                    dim.dim_value = found[0]


def _open_axes(value):
    """{axis: its Dimension} of the axes whose size is not known."""
    return {axis: dim for axis, dim in enumerate(value.type.tensor_type.shape.dim)
            if not dim.HasField('dim_value')}


def _name_each(value):
    for axis, dim in _open_axes(value).items():
        dim.dim_param = '{}_dim_{}'.format(value.name, axis)


def _must_agree(skeleton, inputs, one, other):
    """Whether two axes of inputs, by their names, fit the graph with equal sizes alone."""
    equal, different = (_output_shapes(skeleton, inputs, {one: _SIZES[0], other: size})
                        for size in _SIZES)
    return equal is not None and different is None


def _without_weights(model):
    """The model as far as shapes need it: large constants are inputs, outputs have no shape."""
    graph = model.graph
    small = [tensor for tensor in graph.initializer if np.prod(tensor.dims) <= _MOST_ELEMENTS]
    large = [helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
             for tensor in graph.initializer if np.prod(tensor.dims) > _MOST_ELEMENTS]
    outputs = [helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, None)
               for value in graph.output]
    return helper.make_model(
        helper.make_graph(graph.node, graph.name, large, outputs, small),
        opset_imports=model.opset_import, ir_version=model.ir_version)


def _output_shapes(skeleton, inputs, sizes):
    """What outputs are inferred for sizes of the inputs' axes; None where these do not fit.

    Args:
      skeleton: as from `_without_weights`.
      inputs: the ValueInfoProtos of the inputs.
      sizes: dict of sizes by the names of axes.

    Returns:
      A dict (output, axis) -> size, of the sizes that are inferred.
    """
    trial = onnx.ModelProto()
    trial.CopyFrom(skeleton)
    for value in inputs:
        value = trial.graph.input.add(**{'name': value.name, 'type': value.type})
        for dim in _open_axes(value).values():
            if dim.dim_param in sizes:
                dim.dim_value = sizes[dim.dim_param]
    try:
        trial = onnx.shape_inference.infer_shapes(trial, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError:
        return None
    return {(value.name, axis): dim.dim_value for value in trial.graph.output
            for axis, dim in enumerate(value.type.tensor_type.shape.dim)
            if dim.HasField('dim_value')}
