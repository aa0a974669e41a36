"""Image classification: the one room that knows what a class is."""
from ash_tf1.tasks.classification.task import Classification

__all__ = ['Classification']
