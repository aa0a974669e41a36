"""Finds every ASH in an ONNX model, and puts the fused op in its place.

An artifact holds ASH as ten portable nodes (two more for a leaky one; in older artifacts also a
Max that keeps the variance from 0, and Reshapes of what has one number a sample). Each is proved
from its last node backwards: the same x everywhere, means over all axes but the batch's, constants
for z_k, alpha and the leak. What is not proved stays as it is, which answers the same.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

DOMAIN = 'ash'  # of the op `Ash`, version 1; native/onnxruntime/op.h has its schema
OP = 'Ash'

_SAME_ORDER = ('Identity', 'Reshape', 'Squeeze', 'Unsqueeze', 'Transpose')
_FLOATS = {onnx.TensorProto.FLOAT: np.float32, onnx.TensorProto.DOUBLE: np.float64}
_SMALL = 64  # elements of a constant that the inference of shapes may need


@dataclass(frozen=True)
class Layer:
    """An ASH that portable nodes make up.

    Attributes:
      x, y: names of the tensors that go in and come out.
      z_k, alpha, leak: its parameters, floats.
      dtype: that of z_k and alpha beside x, `numpy.float32` or `numpy.float64`.
    """

    x: str
    y: str
    z_k: float
    alpha: float
    leak: float
    dtype: type


@dataclass(frozen=True)
class Body:
    """The portable nodes that a fused op stands for, and the constants that they read.

    Attributes:
      layer: the `Layer`.
      nodes: list of NodeProtos in order, from what reads `layer.x` to what gives `layer.y`.
      constants: list of TensorProtos.
    """

    layer: Layer
    nodes: list
    constants: list


def fuse(model):
    """Puts the fused op in the place of every ASH of a model, in branches and loops too.

    Args:
      model: an `onnx.ModelProto`; changed.

    Returns:
      A list of the `Body` of each, whose op has the name `layer.y`. Where it is empty, the model is
      as it was.
    """
    if not any(node.op_type == 'Sigmoid' for graph in _graphs(model.graph) for node in graph.node):
        return []
    types = infer_types(model)
    uses = _count_uses(model.graph)
    fused = _fuse_graph(model.graph, {}, types, uses)
    if fused and all(opset.domain != DOMAIN for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return fused


def restore(model, bodies):
    """Puts portable nodes back in the place of fused ops, wherever those are by now.

    Args:
      model: an `onnx.ModelProto` with float x at each op; changed. Ops of other names stay.
      bodies: what `fuse` returned.
    """
    known = {body.layer.y: body for body in bodies}
    kept = []
    for node in model.graph.node:
        body = known.get(node.name) if is_fused(node) else None
        if body is None:
            kept.append(node)
            continue
        names = {body.layer.x: node.input[0], body.layer.y: node.output[0]}
        for tensor in body.constants:
            constant = onnx.TensorProto.FromString(tensor.SerializeToString())
            constant.name = names[tensor.name] = f'{node.name}/{tensor.name}'
            model.graph.initializer.append(constant)
        for portable in body.nodes:
            portable = onnx.NodeProto.FromString(portable.SerializeToString())
            for field in (portable.input, portable.output):
                # Their own names below the op's: a node that others read too is still there.
                field[:] = [names.setdefault(name, f'{node.name}/{name}') for name in field]
            kept.append(portable)
    del model.graph.node[:]
    model.graph.node.extend(kept)


def is_fused(node):
    """Whether a node is a fused ASH."""
    return node.domain == DOMAIN and node.op_type == OP


def count_fused(model):
    """Returns how many fused ASH a model holds already."""
    return sum(map(is_fused, (node for graph in _graphs(model.graph) for node in graph.node)))


def _graphs(graph):
    """A graph and all that its nodes hold."""
    yield graph
    for node in graph.node:
        for child in _children(node):
            yield from _graphs(child)


def _children(node):
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == onnx.AttributeProto.GRAPHS:
            yield from attribute.graphs


def _count_uses(graph):
    """Name -> by how many inputs and outputs of graphs it is read, in the graph and below it."""
    uses = {}
    for each in _graphs(graph):
        names = [name for node in each.node for name in node.input]
        for name in names + [value.name for value in each.output]:
            uses[name] = uses.get(name, 0) + 1
    return uses


def infer_types(model):
    """Returns name -> (element type, dims), each an int or None, of tensors whose rank is known."""
    # Large weights would be copied; of them only the shape matters.
    light = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    light.functions.extend(model.functions)
    light.graph.CopyFrom(_without_large(model.graph))
    for node in light.graph.node:
        if is_fused(node):  # which ONNX does not know
            node.CopyFrom(helper.make_node('Identity', node.input[:1], node.output))
    try:
        inferred = onnx.shape_inference.infer_shapes(light)
    except onnx.shape_inference.InferenceError:
        return {}  # a damaged graph, about which onnxruntime says more: nothing can be proved of it
    types = {}
    for graph in _graphs(inferred.graph):
        for value in [*graph.input, *graph.value_info, *graph.output]:
            tensor = value.type.tensor_type
            if tensor.HasField('shape'):
                types[value.name] = (tensor.elem_type, tuple(
                    dim.dim_value if dim.HasField('dim_value') else None
                    for dim in tensor.shape.dim))
    return types


def _without_large(graph):
    """A graph whose large constants have become inputs."""
    inputs = {value.name for value in graph.input}
    light = onnx.GraphProto(name=graph.name, node=graph.node, input=graph.input,
                            output=graph.output)
    for tensor in graph.initializer:
        if np.prod(tensor.dims, dtype=np.int64) <= _SMALL:
            light.initializer.append(tensor)
        elif tensor.name not in inputs:
            light.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type,
                                                             tensor.dims))
    return light


def _fuse_graph(graph, outer, types, uses):
    """Fuses a graph and those below it; `outer` has the constants around it. Returns the bodies."""
    matcher = _Matcher(graph, outer, types)
    bodies = [body for node in graph.node for child in _children(node)
              for body in _fuse_graph(child, matcher.constants, types, uses)]
    nodes = matcher.nodes
    layers = [layer for layer in map(matcher.match, nodes.values()) if layer]
    bodies += [matcher.body(layer) for layer in layers]
    for layer in layers:
        _replace(nodes, graph, matcher.producers, layer, types, uses)
    if layers:
        kept = list(nodes.values())
        del graph.node[:]
        graph.node.extend(kept)
    return bodies


class _Matcher:
    """What proves that a node is the last one of an ASH, in one graph."""

    def __init__(self, graph, outer, types):
        self.nodes = {id(node): node for node in graph.node}
        self.producers = {name: node for node in self.nodes.values() for name in node.output}
        self.constants = dict(outer)
        self.constants.update((tensor.name, tensor) for tensor in graph.initializer)
        for node in graph.node:
            if node.op_type == 'Constant' and not node.domain:
                for attribute in node.attribute:
                    if attribute.name == 'value':
                        self.constants[node.output[0]] = attribute.t
        # What is an input too may be given another value by the caller.
        for value in graph.input:
            self.constants.pop(value.name, None)
        self.types = types

    def match(self, node):
        """The `Layer` whose y a node gives, or None."""
        for x, gate in self._either(node, 'Mul'):
            if x not in self.types:
                continue
            rank = len(self.types[x][1])
            leak, gate = self._leaky(gate, rank)
            sigmoid = self._node(gate, 'Sigmoid')
            if sigmoid is None:
                continue
            for slope, distance in self._scaled(sigmoid.input[0], rank):
                z_k = self._threshold(x, distance)
                if z_k is not None:
                    return self._layer(x, node.output[0], z_k, slope / 2, leak)
        return None

    def body(self, layer):
        """The `Body` of a `Layer`."""
        ids, constants, names = set(), {}, [layer.y]
        while names:
            name = names.pop()
            producer = self.producers.get(name)
            if name in self.constants:
                constant = onnx.TensorProto.FromString(self.constants[name].SerializeToString())
                constant.name = name
                constants[name] = constant
            elif producer is not None and name != layer.x and id(producer) not in ids:
                ids.add(id(producer))
                names.extend(producer.input)
        return Body(layer, [onnx.NodeProto.FromString(node.SerializeToString())
                            for key, node in self.nodes.items() if key in ids],
                    list(constants.values()))

    def _layer(self, x, y, z_k, alpha, leak):
        """The `Layer`, or None where a parameter has the wrong range or x the wrong type."""
        dtype = _FLOATS.get(self.types[x][0])
        if dtype is None or not np.isfinite([z_k, alpha]).all() or not 0 <= leak < 1:
            return None
        return Layer(x, y, z_k, alpha, leak, dtype)

    def _threshold(self, x, distance):
        """z_k where distance is x - mean - z_k * sigma, of each sample of x; else None."""
        for centred, offset in self._difference(distance):
            if not self._is_centred(x, centred) or not self._is_of_samples(x, offset):
                continue
            for z_k, sigma in self._scaled(self._same_order(offset), len(self.types[x][1])):
                if self._is_deviation(x, centred, self._same_order(sigma)):
                    return z_k
        return None

    def _is_centred(self, x, name):
        """Whether a tensor is x less each sample's mean."""
        return any(value == x and self._is_of_samples(x, mean)
                   and self._is_mean(x, self._same_order(mean), x)
                   for value, mean in self._difference(name))

    def _is_deviation(self, x, centred, name):
        """Whether a tensor is the root of the mean of centred^2, of each sample."""
        root = self._node(name, 'Sqrt')
        if root is None:
            return False
        variance = self._same_order(root.input[0])
        floor = self._node(variance, 'Max')
        if floor is not None:
            for value, least in self._either(floor, 'Max'):
                least = self._scalar(least, len(self.types[x][1]))
                if least is not None and 0 <= least <= np.finfo(np.float32).tiny:
                    variance = self._same_order(value)
        mean = self._node(variance, 'ReduceMean')
        return (mean is not None and self._is_square(centred, mean.input[0])
                and self._is_mean(x, variance, mean.input[0]))

    def _is_square(self, centred, name):
        node = self._node(name, 'Mul')
        if node is not None:
            return list(node.input) == [centred, centred]
        node = self._node(name, 'Pow')
        return (node is not None and len(node.input) == 2 and node.input[0] == centred
                and self._scalar(node.input[1], 0) == 2)

    def _is_mean(self, x, name, of):
        """Whether a tensor is the mean of each sample of `of`, which has x's shape."""
        node = self._node(name, 'ReduceMean')
        if node is None or node.input[0] != of:
            return False
        axes = next((list(attribute.ints) for attribute in node.attribute
                     if attribute.name == 'axes'), None)
        if axes is None and len(node.input) == 2 and node.input[1] in self.constants:
            axes = numpy_helper.to_array(self.constants[node.input[1]]).reshape(-1).tolist()
        rank = len(self.types[x][1])
        return axes is not None and sorted(axis % rank for axis in axes) == list(range(1, rank))

    def _is_of_samples(self, x, name):
        """Whether a tensor has the shape [N, 1, ...], of the rank of x [N, ...]."""
        if name not in self.types:
            return False
        rank, dims = len(self.types[x][1]), self.types[name][1]
        return rank >= 2 and len(dims) == rank and set(dims[1:]) == {1}

    def _leaky(self, name, rank):
        """(leak, gate) of leak + (1 - leak) * gate; (0, the tensor itself) of anything else."""
        for leak, rest in self._with_scalar(name, 'Add', rank):
            for share, gate in self._scaled(rest, rank):
                if abs(leak + share - 1) <= np.finfo(np.float32).eps:
                    return leak, gate
        return 0.0, name

    def _scaled(self, name, rank):
        """(factor, tensor) for a tensor times a constant of one element."""
        return self._with_scalar(name, 'Mul', rank)

    def _with_scalar(self, name, op_type, rank):
        """(constant, other input) for each constant of one element that goes into a node."""
        node = self._node(name, op_type)
        if node is None:
            return
        for one, other in self._either(node, op_type):
            value = self._scalar(one, rank)
            if value is not None:
                yield value, other

    def _scalar(self, name, rank):
        """The value of a constant of one element, a float; None for anything else.

        One of a rank above `rank`, or above 1, would raise the rank of what it is combined with.
        """
        tensor = self.constants.get(name)
        if (tensor is None or tensor.data_type not in _FLOATS or set(tensor.dims) - {1}
                or len(tensor.dims) > max(1, rank)):
            return None
        return float(numpy_helper.to_array(tensor).reshape(()))

    def _difference(self, name):
        """[(a, b)] for a tensor that is a - b."""
        node = self._node(name, 'Sub')
        return [tuple(node.input)] if node is not None and len(node.input) == 2 else []

    def _same_order(self, name):
        """What a tensor is before its elements, one a sample, were given another shape."""
        for _ in self.nodes:  # at most: a damaged graph may go in a circle
            node = self.producers.get(name)
            if (node is None or node.op_type not in _SAME_ORDER or node.domain
                    or not node.input):
                break
            name = node.input[0]
        return name

    def _node(self, name, op_type):
        """The node that gives a tensor, where it is of a type of ONNX's own and has inputs."""
        node = self.producers.get(name)
        return node if (node is not None and node.op_type == op_type and not node.domain
                        and node.input) else None

    @staticmethod
    def _either(node, op_type):
        """The two inputs of a node of two, in both orders."""
        if node.op_type != op_type or node.domain or len(node.input) != 2:
            return []
        return [tuple(node.input), tuple(node.input)[::-1]]


def _replace(nodes, graph, producers, layer, types, uses):
    """Puts the op in the place of a layer's last node, and takes away what nothing reads then.

    `nodes` are those of the graph by their id, in order, and become what they will be.
    """
    last = producers[layer.y]
    x, y, unread = layer.x, layer.y, list(last.input)
    # Statistics and gate of a half x are computed in float, in which the op computes anyway.
    widen, narrow = producers.get(x), [node for node in nodes.values() if y in node.input]
    if (_is_cast(widen, onnx.TensorProto.FLOAT) and uses[y] == len(narrow) == 1
            and _is_cast(narrow[0], onnx.TensorProto.FLOAT16)
            and types.get(widen.input[0], (0,))[0] == onnx.TensorProto.FLOAT16):
        x, y = widen.input[0], narrow[0].output[0]
        del nodes[id(narrow[0])]
    names = [f'{layer.y}/{parameter}' for parameter in ('z_k', 'alpha')]
    while any(name in uses for name in names):
        names = [name + '_' for name in names]
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray([value], layer.dtype), name)
        for name, value in zip(names, (layer.z_k, layer.alpha), strict=True))
    op = helper.make_node(OP, [x, *names], [y], name=layer.y, domain=DOMAIN, leak=repr(layer.leak))
    nodes[id(last)] = op
    for name in op.input:
        uses[name] = uses.get(name, 0) + 1
    while unread:
        name = unread.pop()
        uses[name] -= 1
        producer = producers.get(name)
        if (producer is not None and not any(uses.get(out) for out in producer.output)
                and nodes.pop(id(producer), None) is not None):
            unread.extend(producer.input)


def _is_cast(node, to):
    return node is not None and node.op_type == 'Cast' and not node.domain and any(
        attribute.name == 'to' and attribute.i == to for attribute in node.attribute)
