"""Has onnxruntime's CPU provider keep its blocked layout of channels through the fused op.

Between convolutions that provider keeps tensors in blocks of 8 or 16 channels. It knows which of
its own ops do not mind, and puts the usual order back before any other and the blocks after it: two
passes over memory. ASH minds neither the order nor the blocks, as long as none is padded. So
onnxruntime optimises the model with an elementwise op that it knows in the place of each such ASH,
and the fused op takes that place in the result. An onnxruntime that does not know the stand-in
leaves the order as it would have been.
"""

import tempfile
from pathlib import Path

import onnx
import onnxruntime
from onnx import helper

from ash_onnx import fusing

STAND_IN, STAND_IN_DOMAIN = 'QuickGelu', 'com.microsoft'
BLOCK = 16  # channels, with AVX-512 and on ARM; 8 otherwise on x86
_FIRST = 2.0**20  # alphas of stand-ins from here on, which no model has


def optimize(model, library):
    """Optimises a model for the CPU provider of this machine.

    Args:
      model: an `onnx.ModelProto` with fused ops; changed.
      library: path of their library.

    Returns:
      Bytes of the optimised model, to be run with its graph optimisations off: it is only for this
      onnxruntime on this machine. None where it cannot be had: no ASH is on a feature map of whole
      blocks, onnxruntime did not leave the stand-ins as they were, or it refuses the model.
    """
    replaced = _put_stand_ins(model)
    if not replaced:
        return None
    parameters = {name for node in replaced.values() for name in node.input[1:]}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in parameters]
    with tempfile.TemporaryDirectory(prefix='ash-onnx-') as scratch:
        path = Path(scratch) / 'optimized.onnx'
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1  # nothing is run
        options.optimized_model_filepath = str(path)
        options.register_custom_ops_library(str(library))
        try:
            onnxruntime.InferenceSession(model.SerializeToString(), options,
                                         providers=['CPUExecutionProvider'])
        except Exception:  # whoever opens the model as it is will be told what is wrong with it
            return None
        optimized = onnx.load(path)
    # Nothing read them, so that onnxruntime has taken them away.
    optimized.graph.initializer.extend(kept)
    return optimized.SerializeToString() if _take_back(optimized, replaced) else None


def _put_stand_ins(model):
    """Puts a stand-in where ASH is on whole blocks; returns {its alpha: the node that it was}."""
    types = fusing.infer_types(model)
    replaced = {}
    for node in model.graph.node:
        _, dims = types.get(node.input[0], (None, ())) if node.input else (None, ())
        if fusing.is_fused(node) and len(dims) == 4 and dims[1] and dims[1] % BLOCK == 0:
            alpha = _FIRST + len(replaced)
            replaced[alpha] = onnx.NodeProto.FromString(node.SerializeToString())
            node.CopyFrom(helper.make_node(STAND_IN, node.input[:1], node.output,
                                           domain=STAND_IN_DOMAIN, alpha=alpha))
    if replaced and all(opset.domain != STAND_IN_DOMAIN for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid(STAND_IN_DOMAIN, 1))
    return replaced


def _take_back(optimized, replaced):
    """Puts the ops in the places of their stand-ins; whether each was there once."""
    found = []
    for node in optimized.graph.node:
        if node.op_type == STAND_IN and node.domain == STAND_IN_DOMAIN:
            alpha = helper.get_node_attr_value(node, 'alpha')
            if alpha in replaced:
                found.append(alpha)
                was = replaced[alpha]
                node.CopyFrom(helper.make_node(was.op_type, [node.input[0], *was.input[1:]],
                                               node.output, name=was.name, domain=was.domain))
                node.attribute.extend(was.attribute)
    return sorted(found) == sorted(replaced)
