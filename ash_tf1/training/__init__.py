"""Training: `train` takes a run from its settings to its last checkpoint.

- `loop` runs the steps. `graph` builds the training graph, `optimizer` and `schedules` its training
  ops. `hooks` has what happens beside the steps: progress, log, evaluation, checkpoints.
- `settings` and `recipes` say what a run does.
- `run_dir` is the folder of a run, and `checkpoints` the checkpoints in it. `run_log` writes the
  log, and `plotting` draws the learning curve from it.
- `initial_weights` finds the weights that a run begins with. `evaluation` measures a checkpoint.
"""
from ash_tf1.training.loop import Result, say, train

__all__ = ['Result', 'say', 'train']
