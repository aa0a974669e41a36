"""The graphs of ASH that the tests hold against the oracle of tests/shared/ash_cases.py."""
import collections
import functools

import numpy as np
import tensorflow.compat.v1 as tf

import ash_cases
from ash_cases import Result
from ash_tf1 import ops


class AshGraph:
    """ASH and its gradients over placeholders: x, dy, and in place of the variables z_k and alpha.

    All sizes of x are unknown, so that one graph serves every shape of its rank.
    """

    def __init__(self, dtype, implementation, leak, rank):
        self.graph = tf.Graph()
        self.parameters = collections.OrderedDict()
        with self.graph.as_default():
            self.x = tf.placeholder(dtype, [None] * rank)
            self.dy = tf.placeholder(dtype, [None] * rank)
            with tf.variable_scope(tf.get_variable_scope(), custom_getter=self._placeholder):
                if leak:
                    y = ops.leaky_ash(self.x, leak, implementation)
                else:
                    y = ops.ASH(self.x, implementation)
            sources = [self.x, self.parameters['z_k'], self.parameters['alpha']]
            self.fetches = [y] + tf.gradients(y, sources, grad_ys=self.dy)
            self.session = tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=1,
                                                            inter_op_parallelism_threads=1))

    def _placeholder(self, getter, name, shape, dtype, **kwargs):
        del getter, kwargs
        self.parameters[name] = tf.placeholder(dtype, shape, name)
        return self.parameters[name]

    def __call__(self, x, z_k, alpha, dy):
        feeds = {self.x: x, self.dy: dy, self.parameters['z_k']: [z_k],
                 self.parameters['alpha']: [alpha]}
        return self.session.run(self.fetches, feeds)


class Ash:
    """The code under test, called as the oracle is; keeps its graphs for the next call."""

    def __init__(self):
        self.graph = functools.lru_cache(maxsize=None)(AshGraph)

    stored = staticmethod(ash_cases.stored)

    def __call__(self, x, z_k=1e-3, alpha=1.0, leak=0.0, dy=None, implementation='recompute'):
        """Result of ASH on x; dz_k and dalpha as scalars, dy being all ones by default."""
        dy = np.ones_like(x) if dy is None else dy
        graph = self.graph(x.dtype.name, implementation, leak, x.ndim)
        y, dx, dz_k, dalpha = graph(x, z_k, alpha, dy)
        assert y.dtype == dx.dtype == x.dtype
        assert y.shape == dx.shape == x.shape
        assert dz_k.shape == dalpha.shape == (1,)
        return Result(y, dx, dz_k[0], dalpha[0])


run_ash = Ash()
