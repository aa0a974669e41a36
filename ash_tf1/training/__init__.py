"""Training: `train` takes a run from its settings to its last checkpoint.

- `loop` is the life of a run; `graph` builds what it steps through, `optimizer` and `schedules`
  what minimises a loss, `hooks` what happens beside the steps;
- `settings` and `recipes` say what a run is;
- `run_dir` is the folder of a run: every file in it is written there. `run_log` and `plotting` say
  what the log and the learning curve hold;
- `initial_weights` finds what a run begins with, and `evaluation` measures what it ended with.
"""
from ash_tf1.training.loop import Result, train

__all__ = ['Result', 'train']
