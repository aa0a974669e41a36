"""ASH and the activations it is compared with, as TensorFlow 1 graph ops.

    ASH(x) = x * sigmoid(2 * alpha * (x - mu - z_k * sigma))

`mu` and `sigma` are the mean and the population standard deviation of each sample over all its
non-batch axes; `z_k` and `alpha` are trained. The formula, its derivation and the errata of the
original publication are in docs/ash.md.

Every activation here takes one tensor and returns one of the same shape and dtype. An activation
with variables makes them in the current variable scope and follows its reuse rules. `apply_ash`
computes ASH with parameters that the caller keeps.
"""
import functools
import re

import numpy as np
import tensorflow.compat.v1 as tf
from scipy import special

from ash_tf1 import gradients, kernels, native
from ash_tf1.monitoring import pass_shares, record_pass_share
from ash_tf1.names import unknown
from ash_tf1.variables import make_variable, refuse_keras

Z_K_INIT = 1e-3
ALPHA_INIT = 1.0
LEAK = 0.01
IMPLEMENTATIONS = {'native': kernels.native, 'recompute': kernels.recompute,
                   'plain': kernels.plain}
AUTO = 'auto'  # 'native' if that can be used, else 'recompute'
__all__ = ['ASH', 'leaky_ash', 'fixed_ash', 'scoped_ash', 'apply_ash', 'z_score', 'swish',
           'swish_beta', 'prelu', 'gelu', 'ACTIVATIONS', 'get_activation', 'pass_shares']


def ASH(x, implementation=AUTO, name=None):  # noqa: N802 - the published name
    """Adaptive SwisH: passes the highest units of each sample; their share is trained.

    ASH(x) = x * sigmoid(2 * alpha * (x - mu - z_k * sigma)), from "Stochastic Adaptive Activation
    Function" (arXiv 2210.11672), with mu and sigma of each sample over all its non-batch axes.
    Makes `z_k` (1e-3) and `alpha` (1.0), both of shape (1,), in the current variable scope.

    Args:
      x: float16, float32 or float64 [N, ...] of rank 2 or more. The axes after the batch may have
        any layout, such as NHWC or NCHW. Sizes may be unknown; the rank must be known.
      implementation: which form of the function to use (docs/ash.md). 'native' is one fused op for
        the forward pass and one for the backward pass; it needs the library of the native ops.
        'recompute' uses graph ops and keeps only x and the per-sample statistics for the backward
        pass. Both are finite for every finite x. 'plain' uses ordinary differentiable ops in x's
        own precision (float32 for float16). 'portable' computes the values of 'plain' in fewer
        ops, for graphs to export; its gradient is NaN where a sample is constant. 'auto' is
        'native' if that can be used and ASH_NATIVE is not 0; otherwise it is 'recompute'.
      name: name of the op; 'ash' by default.

    Returns:
      A tensor of x's shape and dtype.

    Raises:
      ValueError: x is not floating point, its rank is unknown or below 2, the implementation is
        unknown or cannot be used, the scope has a z_k already and does not reuse it, or the caller
        is a tf.keras layer.
    """
    with tf.name_scope(name, 'ash', [x]):
        x = _check_samples(x)
        return _ash_of_scope(x, None, 0.0, implementation)


def leaky_ash(x, leak=LEAK, implementation=AUTO, name=None):
    """L-ASH: x * (leak + (1 - leak) * sigmoid(2 * alpha * (x - mu - z_k * sigma))).

    The paper only names a leaky version; this reading of it is ours. With leak = 0 it is ASH.

    Args:
      x: as for `ASH`.
      leak: share of a unit that passes below the threshold, in [0, 1).
      implementation: as for `ASH`.
      name: name of the op; 'leaky_ash' by default.

    Returns:
      A tensor of x's shape and dtype.

    Raises:
      ValueError: as for `ASH`, or leak is outside [0, 1).
    """
    _check_leak(leak)
    with tf.name_scope(name, 'leaky_ash', [x]):
        x = _check_samples(x)
        return _ash_of_scope(x, None, leak, implementation)


def fixed_ash(x, k, implementation=AUTO, name=None):
    """F-ASH-k: ASH with z_k fixed so that the top k % of a normal input pass; alpha is trained.

    Args:
      x: as for `ASH`.
      k: percentage that passes, in (0, 100); z_k is the standard normal quantile of 1 - k / 100.
      implementation: as for `ASH`.
      name: name of the op; 'fixed_ash' by default.

    Returns:
      A tensor of x's shape and dtype.

    Raises:
      ValueError: as for `ASH`, or k is outside (0, 100).
    """
    z_k = z_score(k)
    with tf.name_scope(name, 'fixed_ash', [x]):
        x = _check_samples(x)
        return _ash_of_scope(x, z_k, 0.0, implementation)


def scoped_ash(name, leak=0.0, k=None, dtype=tf.float32, implementation=AUTO):
    """Makes the parameters of one ASH now and returns an activation that uses them in every call.

    It is for code that calls one activation several times: the gates of an LSTM cell, a Python
    loop, conditions and loops of the graph. The variables are `NAME/z_k` and `NAME/alpha` in the
    current variable scope, whose reuse rules apply.

        cell = tf.nn.rnn_cell.LSTMCell(64, activation=scoped_ash('cell'))

    Args:
      name: name of a variable scope below the current one.
      leak: as for `leaky_ash`; 0 is ASH.
      k: as for `fixed_ash`; None, the default, trains z_k.
      dtype: dtype of the variables, tf.float32 or tf.float64.
      implementation: as for `ASH`.

    Returns:
      A function (x, name=None) that computes ASH, for tensors of the current graph.

    Raises:
      ValueError: the name is empty, the scope has the variables already and does not reuse them,
        or another argument is invalid.
    """
    if not name:
        raise ValueError('scoped_ash needs the name of a variable scope, got {!r}'.format(name))
    _check_leak(leak)
    check_implementation(implementation)
    dtype = tf.as_dtype(dtype)
    if dtype not in (tf.float32, tf.float64):
        raise ValueError('dtype of scoped_ash must be float32 or float64, got {}'.format(
            dtype.name))
    fixed_z_k = None if k is None else z_score(k)
    graph = tf.get_default_graph()
    with tf.variable_scope(name) as scope:
        z_k, alpha = _parameters(fixed_z_k, dtype)

    def activation(x, name=None):
        """ASH with the parameters that `scoped_ash` made."""
        refuse_keras()
        with tf.name_scope(name, 'scoped_ash', [x]):
            x = _check_samples(x)
            here = tf.get_default_graph()
            if here is not graph and not here.building_function:
                raise ValueError('scoped_ash({!r}) was called in another graph than it was made '
                                 'in: make it anew in each graph'.format(scope.name))
            return _ash(x, z_k, alpha, leak, implementation, layer=scope.name)

    return activation


def apply_ash(x, z_k, alpha, leak=0.0, implementation=AUTO):
    """ASH with given parameters. It makes no variables and records no pass share.

    Args:
      x: as for `ASH`.
      z_k, alpha: floating point tensors or variables of one element each. They are cast to float32,
        or to float64 if x is float64.
      leak: as for `leaky_ash`; 0 is ASH.
      implementation: as for `ASH`.

    Returns:
      A tensor of x's shape and dtype.

    Raises:
      ValueError: x is not floating point, its rank is unknown or below 2, or the implementation is
        unknown or cannot be used.
    """
    return _ash(_check_samples(x), z_k, alpha, leak, implementation)


def z_score(k):
    """The z above which k % of a standard normal variable lie, e.g. 1.96 for k = 2.5.

    Raises:
      ValueError: k is outside (0, 100).
    """
    if not 0.0 < k < 100.0:
        raise ValueError('k is the percentage that passes, in (0, 100), got {!r}'.format(k))
    return float(-special.ndtri(k / 100.0))


def swish(x, name=None):
    """Swish with beta = 1: x * sigmoid(x) (arXiv 1710.05941). Shape and dtype are kept."""
    with tf.name_scope(name, 'swish', [x]):
        x = _check_float(x)
        return _SWISH.attach(x * tf.sigmoid(x), [x])


def _swish_gradient(op, dy, *unused):
    """Computes the gate again from x, so that the forward pass keeps only x.

    tf.nn.swish does the same, but its gradient is a Python closure (see `gradients`).
    """
    del unused
    x = op.inputs[1]
    with tf.control_dependencies([dy]):
        gate = tf.sigmoid(x)
    return [None, dy * (gate * (1.0 + x * (1.0 - gate)))]


_SWISH = gradients.Gradient('AshSwish', _swish_gradient)


def swish_beta(x, name=None):
    """Swish with a trained slope, x * sigmoid(beta * x); makes `beta` (1.0), shape (1,)."""
    with tf.name_scope(name, 'swish_beta', [x]):
        x = _check_float(x)
        refuse_keras()
        beta = tf.cast(make_variable('beta', 1.0, kernels.PRECISION[x.dtype][0]), x.dtype)
        return x * tf.sigmoid(beta * x)


def prelu(x, data_format='NHWC', name=None):
    """PReLU (arXiv 1502.01852): x where x > 0, else alpha * x.

    Each channel has a trained `alpha`, initially 0.25.

    Args:
      x: float16, float32 or float64 [N, ..., C], or [N, C, ...] if data_format starts with 'NC'.
        The rank is 2 or more, and C is known.
      data_format: 'NHWC' or 'NCHW' (any string that starts with 'NC' puts channels second).
      name: name of the op; 'prelu' by default.

    Returns:
      A tensor of x's shape and dtype. The variable `alpha` has shape (C,).

    Raises:
      ValueError: x is not floating point, its rank is unknown or below 2, or C is unknown.
    """
    with tf.name_scope(name, 'prelu', [x]):
        x = _check_samples(x)
        axis = 1 if data_format.startswith('NC') else x.shape.ndims - 1
        channels = x.shape[axis].value
        if channels is None:
            raise ValueError('prelu needs a known number of channels, axis {} of {!r} has shape {}'
                             .format(axis, x.name, x.shape))
        refuse_keras()
        alpha = make_variable('alpha', 0.25, kernels.PRECISION[x.dtype][0], shape=(channels,))
        alpha = tf.cast(alpha, x.dtype)
        broadcast = [1] * x.shape.ndims
        broadcast[axis] = channels
        return tf.nn.relu(x) + tf.reshape(alpha, broadcast) * tf.minimum(x, 0)


def gelu(x, name=None):
    """GELU, exact: x * Phi(x) = x / 2 * (1 + erf(x / sqrt(2))) (arXiv 1606.08415)."""
    with tf.name_scope(name, 'gelu', [x]):
        x = _check_float(x)
        return 0.5 * x * (1.0 + tf.erf(x * np.sqrt(0.5)))


ASH_FAMILY = (ASH, leaky_ash, fixed_ash)
ACTIVATIONS = {
    'ash': ASH,
    'l_ash': leaky_ash,
    'f_ash_10': functools.partial(fixed_ash, k=10),
    'f_ash_50': functools.partial(fixed_ash, k=50),
    'f_ash_90': functools.partial(fixed_ash, k=90),
    'relu': tf.nn.relu,
    'lrelu': functools.partial(tf.nn.leaky_relu, alpha=0.01),
    'prelu': prelu,
    'elu': tf.nn.elu,
    'softplus': tf.nn.softplus,
    'gelu': gelu,
    'selu': tf.nn.selu,
    'swish': swish,
    'swish_beta': swish_beta,
}
_FIXED_ASH_NAME = re.compile(r'f_ash_(\d+(?:\.\d+)?)\Z')


def get_activation(name, implementation=AUTO):
    """Finds an activation by its name.

    Args:
      name: a key of `ACTIVATIONS`, or 'f_ash_K' for any percentage K in (0, 100), e.g. 'f_ash_2.5'.
      implementation: as for `ASH`. Only the ASH family uses it; the others have one form.

    Returns:
      A function: tensor -> tensor of the same shape and dtype.

    Raises:
      ValueError: the name or the implementation is unknown; the message has the nearest ones.
    """
    check_implementation(implementation)
    activation = ACTIVATIONS.get(str(name))
    fixed = _FIXED_ASH_NAME.match(str(name))
    if activation is None and fixed:
        z_score(float(fixed.group(1)))
        activation = functools.partial(fixed_ash, k=float(fixed.group(1)))
    if activation is None:
        raise unknown('activation', name, ACTIVATIONS, also=['f_ash_K for any K in (0, 100)'])
    if getattr(activation, 'func', activation) in ASH_FAMILY:
        activation = functools.partial(activation, implementation=implementation)
    return activation


def resolve(implementation):
    """The implementation to use: `AUTO` becomes 'native' or 'recompute', other names stay.

    Raises:
      ValueError: the name is unknown, or as for `native.is_wanted`.
    """
    check_implementation(implementation)
    if implementation == AUTO:
        return 'native' if native.is_wanted() else 'recompute'
    return implementation


def check_implementation(implementation):
    """Raises a ValueError that lists the known implementations if this is none of them."""
    if implementation not in (AUTO, *IMPLEMENTATIONS):
        raise ValueError('unknown implementation {!r}; known are {}'.format(
            implementation, ', '.join((AUTO, *IMPLEMENTATIONS))))


def _name(x):
    return getattr(x, 'name', 'an eager tensor')


def _check_float(x):
    x = tf.convert_to_tensor(x, name='x')
    if x.dtype.base_dtype not in kernels.PRECISION:
        raise ValueError('an activation takes float16, float32 or float64, got {} for {!r}'.format(
            x.dtype.base_dtype.name, _name(x)))
    # tf.assign returns a reference to its variable; tf.identity reads the value.
    return x if x.dtype == x.dtype.base_dtype else tf.identity(x)


def _check_samples(x):
    x = _check_float(x)
    if x.shape.ndims is None or x.shape.ndims < 2:
        raise ValueError('the activation needs a known rank of 2 or more, batch first; {!r} has '
                         'shape {}'.format(_name(x), x.shape))
    return x


def _check_leak(leak):
    if not 0.0 <= leak < 1.0:
        raise ValueError('leak must be in [0, 1), got {!r}'.format(leak))


def _ash_of_scope(x, z_k, leak, implementation):
    """ASH with the current variable scope's parameters; z_k is a number to fix it, or None."""
    refuse_keras()
    z_k, alpha = _parameters(z_k, kernels.PRECISION[x.dtype][0])
    return _ash(x, z_k, alpha, leak, implementation, layer=tf.get_variable_scope().name)


def _parameters(fixed_z_k, dtype):
    """z_k and alpha of the current variable scope; z_k is a constant if its value is given."""
    if fixed_z_k is None:
        z_k = make_variable('z_k', Z_K_INIT, dtype)
    else:
        z_k = tf.constant(fixed_z_k, dtype, name='z_k')
    return z_k, make_variable('alpha', ALPHA_INIT, dtype)


def _ash(x, z_k, alpha, leak, implementation, layer=None):
    """ASH of checked samples; records the share that passes if a layer's name is given."""
    implementation = resolve(implementation)
    compute = kernels.PRECISION[x.dtype][0]
    # Scalars: with shape (1,) every elementwise op would broadcast, at several times the cost.
    z_k, alpha = (tf.cast(tf.reshape(value, []), compute) for value in (z_k, alpha))
    if layer is not None:
        if tf.get_default_graph().get_collection(gradients.OLD_COLLECTION):
            gradients.check_graph()
        record_pass_share(x, z_k, layer)
    return IMPLEMENTATIONS[implementation](x, z_k, alpha, leak)
