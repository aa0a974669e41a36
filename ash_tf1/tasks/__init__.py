"""The tasks, by name. A task says what a net is trained for.

The training loop knows steps, feeds, objectives and metrics. Only the `Task` knows what they mean.
`base.py` has the contract between the two.
"""
from ash_tf1.names import unknown
from ash_tf1.tasks.base import (
    Alarm,
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
from ash_tf1.tasks.generation import Generation

TASKS = {task.name: task for task in (Classification(), Generation())}

__all__ = ['TASKS', 'Alarm', 'Classification', 'Evaluation', 'Evaluator', 'Generation', 'Interface',
           'MeanEvaluator', 'Metric', 'ModelSpec', 'Objective', 'Task', 'get_task']


def get_task(name):
    """The `Task` of a name; for an unknown name raises ValueError, which has the nearest ones."""
    if name not in TASKS:
        raise unknown('task', name, TASKS)
    return TASKS[name]
