"""How sessions run graphs: rewriting, and the number of threads."""
import tensorflow.compat.v1 as tf
from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig


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
