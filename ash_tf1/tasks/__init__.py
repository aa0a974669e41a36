"""The tasks, by name: what a net is trained for.

The training loop knows steps, feeds, objectives and metrics. What these mean is known by a `Task`
alone; `base.py` has the contract.
"""
from ash_tf1.tasks.base import (
    Evaluation,
    Evaluator,
    Interface,
    MeanEvaluator,
    Metric,
    ModelSpec,
    Objective,
    Task,
)
from ash_tf1.tasks.classification import Classification

TASKS = {task.name: task for task in (Classification(),)}

__all__ = ['TASKS', 'Classification', 'Evaluation', 'Evaluator', 'Interface', 'MeanEvaluator',
           'Metric', 'ModelSpec', 'Objective', 'Task', 'get_task']


def get_task(name):
    """The `Task` of a name; raises ValueError, listing the known ones, for another name."""
    if name not in TASKS:
        raise ValueError('unknown task {!r}; known are {}'.format(name, ', '.join(sorted(TASKS))))
    return TASKS[name]
