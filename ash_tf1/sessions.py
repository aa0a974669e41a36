"""How TensorFlow is asked to run a graph."""
import tensorflow.compat.v1 as tf


def session_config():
    """The `tf.ConfigProto` of every session here.

    TensorFlow rewrites a graph before the first run of each set of fetches, which for ResNet-152
    takes minutes. On a CPU the rewritten graph is no faster, and is not asked for; on a GPU it is,
    by its layout.
    """
    config = tf.ConfigProto()
    has_gpu = bool(tf.config.experimental.list_physical_devices('GPU'))
    config.graph_options.rewrite_options.disable_meta_optimizer = not has_gpu
    return config


def compute_in_one_thread():
    """Makes this process compute each op in one thread, for good.

    The order of sums, and so their last bits, depends on how many threads share them: by default as
    many as the machine has cores. The first session of a process decides for all later ones, and
    so this one must be the first.
    """
    with tf.Session(graph=tf.Graph(), config=tf.ConfigProto(intra_op_parallelism_threads=1)):
        pass
