"""The kinds of artifacts, one room each: what its inputs and outputs are, and what is done with it.

A new kind is a module or package here with a `Kind` (see `base`), and a place in `KINDS`.
"""

from ash_onnx.kinds import classifier, generator, keras_model, tensors

# In the order in which a message lists them.
KINDS = {kind.name: kind for kind in (classifier.KIND, generator.KIND, keras_model.KIND,
                                      tensors.KIND)}
DEFAULT = classifier.KIND.name  # of artifacts that are older than the metadata `kind`
