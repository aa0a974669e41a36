"""ASH for TensorFlow 1.15's own tf.keras: the layers, and putting them into models that exist.

    model = tf.keras.applications.xception.Xception(weights=None)
    model = insert_layer_nonseq(model, '.*act', ASH)

Once this is imported, tf.keras.models.load_model knows the layers. `ash_tf1.keras.export` turns a
model into an ONNX artifact; it is not imported here, since it alone needs tf2onnx.
"""
from ash_tf1.keras.insertion import insert_layer_nonseq
from ash_tf1.keras.layers import ASH, Swish

__all__ = ['ASH', 'Swish', 'insert_layer_nonseq']
