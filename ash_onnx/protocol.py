"""Names of the Open Inference Protocol v2, which the endpoint and Triton share."""

import numpy as np

IMAGE = 'image'  # the tensor of image files, BYTES

# The names that the protocol gives dtypes.
DTYPES = {'BOOL': np.dtype(bool), 'FP16': np.dtype('f2'), 'FP32': np.dtype('f4'),
          'FP64': np.dtype('f8'), 'BYTES': np.dtype(object),
          **{f'{kind}{8 * size}': np.dtype(f'{kind[0].lower()}{size}')
             for kind in ('INT', 'UINT') for size in (1, 2, 4, 8)}}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def image_name(name):
    """What the model is called that takes or gives image files, beside the model `name`."""
    return f'{name}_image'
