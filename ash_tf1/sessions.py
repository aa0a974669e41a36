"""How sessions run graphs: rewriting, the number of threads, and memory."""
import ctypes

import tensorflow.compat.v1 as tf
from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig

# From glibc's malloc.h: M_ARENA_MAX, one pool; M_MMAP_MAX, no mapping for a single array;
# M_TRIM_THRESHOLD, as large as can be.
_KEEPING = (-8, 1), (-4, 0), (-1, -1)


def session_config():
    """The `tf.ConfigProto` of every session here.

    TensorFlow rewrites a graph before the first run of each set of fetches. For ResNet-152 this
    takes minutes. On a CPU the rewritten graph is no faster, so rewriting is turned off. On a GPU
    it stays on, because the rewritten graph has a faster data layout. Arithmetic rewriting is off
    there too: it merges the reads of a variable before and after its update, so that a moving
    average followed the weights of the step before.
    """
    config = tf.ConfigProto()
    config.graph_options.rewrite_options.arithmetic_optimization = RewriterConfig.OFF
    has_gpu = bool(tf.config.experimental.list_physical_devices('GPU'))
    config.graph_options.rewrite_options.disable_meta_optimizer = not has_gpu
    return config


def compute_in_one_thread():
    """Makes this process compute each op in one thread, until it ends.

    The order of a sum, and so its last bits, depends on the number of threads that share it. By
    default that is the number of cores. The first session of a process sets the number for all
    later ones, so call this before any other session.
    """
    with tf.Session(graph=tf.Graph(), config=tf.ConfigProto(intra_op_parallelism_threads=1)):
        pass


def keep_memory():
    """Makes the C library keep the memory of tensors that are freed, until this process ends.

    By default glibc gives each array of over 32 MB back to the system and gets the next one anew,
    page by page and zeroed: for a map of 80 MB this takes several times as long as an activation.
    Kept memory is used again instead. Threads then share one pool, since the pools of single
    threads cannot hold such arrays. So call this before the first session.

    Returns:
      Whether the C library does it: glibc alone.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    return mallopt is not None and all(
        mallopt(parameter, value) for parameter, value in _KEEPING)
