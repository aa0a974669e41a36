"""The contract of a kind: what the rest of the package asks, instead of knowing what a label is."""

from collections.abc import Callable
from dataclasses import dataclass

from ash_onnx.artifact import Artifact


@dataclass(frozen=True)
class Kind:
    """One kind of artifact.

    What an open artifact of the kind can do is in its class: an `Artifact` runs any graph, and a
    subclass adds what its inputs and outputs mean. `Artifact` names the methods that a subclass may
    replace (`answer`, `count_agreeing`, `check_companions`, `calibration_feeds`).

    Attributes:
      name: the metadata `kind`.
      title: what a message calls what was converted, 'an image classifier'.
      json_keys: the metadata that it must have beside those of every kind; each is JSON.
      interface: function (graph, metadata) that checks the graph's inputs and outputs against the
        metadata. It raises ValueError, without the path of the file. It returns a dict, input
        name -> the smallest valid array, in the order of the test data, and the names of the
        outputs, in theirs.
      negation: what a message calls an artifact of another kind where this one is asked for, 'no
        image classifier'.
      artifact: the class of an open artifact of this kind.
    """

    name: str
    title: str
    json_keys: tuple
    interface: Callable
    negation: str
    artifact: type = Artifact
