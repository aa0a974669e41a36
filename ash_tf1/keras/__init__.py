"""ASH for TensorFlow 1.15's own tf.keras: layers, and a way to put them into existing models.

    model = tf.keras.applications.xception.Xception(weights=None)
    model = insert_layer_nonseq(model, '.*act', ASH)

After this import tf.keras.models.load_model knows the layers. `ash_tf1.keras.export` turns a model
into an ONNX artifact. It is not imported here, because it needs tf2onnx, which the rest does not.
"""
from ash_tf1.keras.insertion import insert_layer_nonseq
from ash_tf1.keras.layers import ASH, Swish

__all__ = ['ASH', 'Swish', 'insert_layer_nonseq']
