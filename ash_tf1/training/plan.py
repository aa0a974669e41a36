"""What a run does, known before its graph is built."""
from typing import NamedTuple

from ash_tf1.input_pipelines.dataset import Dataset
from ash_tf1.input_pipelines.loading import epoch_batches
from ash_tf1.tasks import ModelSpec, Task
from ash_tf1.training.settings import Settings


class Plan(NamedTuple):
    """A task, a net, a data set and the number of steps."""

    task: Task
    spec: ModelSpec
    settings: Settings
    dataset: Dataset
    epoch_steps: int
    total_steps: int

    def epoch(self, step):
        """The number of epochs after a step, a float."""
        return step / self.epoch_steps

    def ends_epoch(self, step):
        """Whether a step is the last one of an epoch, or of the run."""
        return step % self.epoch_steps == 0 or step == self.total_steps

    def batches(self, start):
        """The batches of steps start, start + 1, ...; the content of each depends only on its step.
        """
        transforms = self.task.transforms(self.spec, self.settings)
        step = start
        while step < self.total_steps:
            epoch, first = divmod(step, self.epoch_steps)
            for batch in epoch_batches(self.dataset.train, self.settings.batch_size,
                                       self.settings.seed, epoch, transforms, start=first):
                if step == self.total_steps:
                    return
                yield batch
                step += 1
