"""The check of what a net is built on."""


def check_images(inputs):
    """Raises ValueError if inputs is not a float tensor [N, H, W, C] with known channels."""
    if inputs.shape.ndims != 4 or inputs.shape[3].value is None or not inputs.dtype.is_floating:
        raise ValueError('a net takes floating-point images [N, H, W, C] with known channels, got '
                         '{} {}'.format(inputs.dtype.name, inputs.shape))
