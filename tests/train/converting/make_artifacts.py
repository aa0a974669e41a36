"""Makes an artifact of each source in a folder; `test_reproducible.py` runs it in processes.

    make_artifacts.py SOURCES OUT_DIR FIRST     (the source to begin with, by its number)
"""
import os
import sys

import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1.converting import foreign
from ash_tf1.keras import export, layers
from ash_tf1.sessions import compute_in_one_thread


def main(sources, out_dir, first):
    compute_in_one_thread()
    names = sorted(os.listdir(sources))
    for name in names[first:] + names[:first]:
        source, artifact = os.path.join(sources, name), os.path.join(out_dir, name)
        if name.endswith('.h5'):
            model = tf.keras.models.load_model(source, {'ASH': layers.ASH}, compile=False)
            inputs = [np.ones([2] + shape[1:], 'f')
                      for shape in (tensor.shape.as_list() for tensor in model.inputs)]
            export.export_onnx(model, artifact, inputs, keep_graph=True)
        else:
            inputs = [('x', None), ('y', None)] if name == 'condition.pb' else ()
            foreign.convert(source, artifact, foreign.Options(inputs, keep_graph=True))


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
