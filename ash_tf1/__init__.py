"""ASH (Adaptive SwisH) for TensorFlow 1.15: the activation, and the published nets that take it.

Importing this loads the native op where it is built, and does nothing else.
"""
import sys
import warnings

from ash_distribution import __version__

__all__ = ['ASH', 'VGG11', 'VGG19', '__version__', 'check_graph', 'get_activation',
           'scoped_ash']


def _check_tensorflow():
    """Raises ImportError where there is no TensorFlow 1.14 or 1.15, which all else needs."""
    wanted = ('ash_tf1 needs TensorFlow 1.15, which runs on Python 3.7 (3.8 in NVIDIA\'s images of '
              'TensorFlow 1); here is Python {}.{} with {}. Exported models need neither: ash_onnx '
              'runs them on Python 3.10 or newer.')
    try:
        with warnings.catch_warnings():
            # Those of an old TensorFlow with newer packages, which its user can do nothing about.
            warnings.simplefilter('ignore', FutureWarning)
            import tensorflow
        version = tensorflow.__version__
    except ImportError as error:
        missing = 'no TensorFlow' if error.name == 'tensorflow' else (
            'a TensorFlow that does not load: {}'.format(str(error).strip().split('\n')[-1]))
        raise ImportError(wanted.format(*sys.version_info[:2], missing), name=__name__) from None
    if tuple(version.split('.')[:2]) not in (('1', '14'), ('1', '15')):
        raise ImportError(wanted.format(*sys.version_info[:2], 'TensorFlow ' + version),
                          name=__name__)


_check_tensorflow()

from ash_tf1 import native  # noqa: E402
from ash_tf1.gradients import check_graph  # noqa: E402
from ash_tf1.nets.vgg import VGG11, VGG19  # noqa: E402
from ash_tf1.ops import ASH, get_activation, scoped_ash  # noqa: E402

native.register()
