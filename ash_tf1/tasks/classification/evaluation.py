"""Measures a classifier, in the same way in training and in tools/evaluate.py."""
import collections

import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1.tasks import base


class Evaluation(base.Evaluation):
    """The predictions of a net for N examples, and how they compare with the labels.

    Attributes:
      loss: mean cross-entropy in nats.
      predictions: int64 [N], the likeliest class of each example.
      labels: int64 [N].
      in_top5: bool [N], whether the label is among the five likeliest classes; None for a net of
        five classes or fewer, where it always is.
    """

    def __init__(self, loss, predictions, labels, in_top5):
        self.loss, self.predictions, self.labels, self.in_top5 = loss, predictions, labels, in_top5
        super().__init__(len(labels), collections.OrderedDict(loss=loss, top1=self.top1))

    @property
    def correct(self):
        return int(np.sum(self.predictions == self.labels))

    @property
    def top1(self):
        return self.correct / len(self.labels)

    @property
    def top5(self):
        return None if self.in_top5 is None else float(np.mean(self.in_top5))

    def class_accuracies(self, num_classes):
        """Share of correct predictions per class, float [num_classes]; NaN without examples."""
        counts = np.bincount(self.labels, minlength=num_classes)
        hits = np.bincount(self.labels[self.predictions == self.labels], minlength=num_classes)
        return np.divide(hits, counts, out=np.full(num_classes, np.nan), where=counts > 0)

    def to_json(self, spec):
        return {'count': self.count, 'correct': self.correct, 'top1': self.top1,
                'top5': self.top5, 'loss': base.finite(self.loss),
                'class_top1': {label: base.finite(value)
                               for label, value in self._by_class(spec)}}

    def summary(self):
        top5 = '' if self.top5 is None else ', top-5 {:.2%}'.format(self.top5)
        return 'top-1 {:.2%} ({} of {}){}, loss {:.4f}'.format(
            self.top1, self.correct, self.count, top5, self.loss)

    def table(self, spec):
        return [(label, '-' if np.isnan(value) else '{:.2%}'.format(value))
                for label, value in self._by_class(spec)]

    def _by_class(self, spec):
        """(label, accuracy) of each class; a label of several classes gets the class's index."""
        labels = ['{} [{}]'.format(label, i) if spec.labels.count(label) > 1 else label
                  for i, label in enumerate(spec.labels)]
        return zip(labels, self.class_accuracies(spec.num_classes).tolist())


class Evaluator(base.Evaluator):
    """The ops that evaluate a classifier, added to the current graph."""

    def __init__(self, classifier, labels):
        """Takes the `Classifier` and the placeholder of the labels, int64 [N]."""
        logits = classifier.logits
        self.fetches = (
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits),
            tf.argmax(logits, axis=1))
        if logits.shape[1].value > 5:
            self.fetches += (tf.nn.in_top_k(logits, labels, 5),)

    def summarize(self, answers):
        labels, losses, predictions, *in_top5 = map(np.concatenate, zip(*(
            (batch['label'],) + tuple(values) for values, batch in answers)))
        return Evaluation(float(np.mean(losses, dtype=np.float64)), predictions, labels,
                          *in_top5 or (None,))
