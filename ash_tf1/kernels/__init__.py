"""The forms of ASH as functions of tensors. `ops` checks the arguments and makes the variables.

Each form takes x [N, ...] of a dtype in `PRECISION`, scalars z_k and alpha of the dtype in which
x's elements are computed, and the leak as a Python float. It returns
x * (leak + (1 - leak) * gate) in x's shape and dtype. docs/ash.md has the derivation.
"""
from ash_tf1.kernels.fused import native
from ash_tf1.kernels.ordinary import plain, portable
from ash_tf1.kernels.precision import PRECISION, narrow
from ash_tf1.kernels.recomputed import recompute
from ash_tf1.kernels.statistics import moments

__all__ = ['PRECISION', 'moments', 'narrow', 'native', 'plain', 'portable', 'recompute']
