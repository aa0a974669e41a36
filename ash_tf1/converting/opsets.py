"""The versions of ONNX's operators that models are made for."""

# From 14 on BatchNormalization says that it is not training, which ONNX's own reference
# implementation goes by; up to 17 ReduceMean has its axes as an attribute, which TensorRT likes.
DEFAULT = 15
# Before 11 there is no Resize by the corners or centres of pixels; tf2onnx 1.16 knows no later one
# than 18.
FIRST, LAST = 11, 18


def check(opset):
    """Raises a ValueError where models are not made for an opset."""
    if opset not in range(FIRST, LAST + 1):
        raise ValueError('opset must be from {} to {}, got {!r}'.format(FIRST, LAST, opset))
