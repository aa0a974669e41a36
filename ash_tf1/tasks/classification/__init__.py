"""Image classification. Outside of this package the training code knows no classes."""
from ash_tf1.tasks.classification.task import Classification

__all__ = ['Classification']
