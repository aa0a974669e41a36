"""The tasks, by name. A task says what a net is trained for.

The training loop knows steps, feeds, objectives and metrics. Only the `Task` knows what they mean.
`base.py` has the contract between the two.
"""
from ash_tf1.names import unknown
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
    """The `Task` of a name; for an unknown name raises ValueError, which has the nearest ones."""
    if name not in TASKS:
        raise unknown('task', name, TASKS)
    return TASKS[name]
