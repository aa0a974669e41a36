"""The log of a run: two CSV files and TensorBoard summaries."""
import dataclasses

import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1.training import pictures
from ash_tf1.training.log_reading import (
    ACTIVATIONS,
    ACTIVATIONS_FILE,
    METRICS_FILE,
    VALIDATION,
    metrics_columns,
    read_rows,
)


class RunLog:
    """Appends rows to `metrics.csv` and `activations.csv` of a run, and to TensorBoard.

    If a run is resumed, rows later than its checkpoint are dropped, because their steps will be
    done again.
    """

    def __init__(self, run_dir, names):
        """Opens the log of a `RunDir`, for metrics of these names."""
        self._run_dir = run_dir
        self._columns = metrics_columns(names)
        self._keep(lambda row: int(row['step']) <= run_dir.step)
        self._summaries = run_dir.summary_writer()

    def _keep(self, keep):
        self._run_dir.keep_rows(METRICS_FILE, self._columns, keep)
        self._run_dir.keep_rows(ACTIVATIONS_FILE, ACTIVATIONS, keep)

    def metrics(self, step, epoch, split, values):
        """Writes a row of `metrics.csv`; `values` is a dict of some of its other columns."""
        self._run_dir.append_rows(METRICS_FILE, self._columns,
                                  [dict(values, step=step, epoch=epoch, split=split)])
        self._summarise(step, split, values)

    def activations(self, step, rows):
        """Writes rows of `activations.csv`: a dict for each layer, without the step."""
        self._run_dir.append_rows(ACTIVATIONS_FILE, ACTIVATIONS,
                                  [dict(row, step=step) for row in rows])
        for row in rows:
            self._summarise(step, row['layer'], {
                name: row[name] for name in ACTIVATIONS[2:] if name in row})

    def pictures(self, step, epoch, images):
        """Writes a grid of each of some images: a dict, name -> uint8 [N, H, W, 3]."""
        for name, each in sorted(images.items()):
            pictures.write(self._run_dir.path, name, epoch, each)
            self._add_picture(step, 'pictures/' + name, pictures.grid(each))

    def settings(self, step, settings):
        """Shows a `Settings` as a table in TensorBoard."""
        rows = ['| setting | value |', '|---|---|']
        rows += ['| {} | `{}` |'.format(*item) for item in dataclasses.asdict(settings).items()]
        plugin = tf.SummaryMetadata.PluginData(plugin_name='text')
        self._add_summary(step, tf.Summary.Value(
            tag='settings', metadata=tf.SummaryMetadata(plugin_data=plugin),
            tensor=tf.make_tensor_proto('\n'.join(rows), tf.string)))

    def inputs(self, step, batch):
        """Shows the first images of a batch in TensorBoard, as the net gets them.

        Args:
          step: step before the batch.
          batch: dict, key of examples -> array; those of uint8 [N, H, W, 3] are images.
        """
        for key, values in sorted(batch.items()):
            if values.dtype == np.uint8 and values.ndim == 4 and values.shape[3] == 3:
                self._add_picture(step, 'inputs/' + key, pictures.grid(values[:pictures.COLUMNS]))

    def validation_rows(self):
        """The rows of the evaluations so far, as dictionaries of strings."""
        return [row for row in read_rows(self._run_dir.file(METRICS_FILE))
                if row['split'] == VALIDATION]

    def has_evaluation(self, step, validated, layers):
        """Whether the log has all rows of the evaluation at a step.

        Args:
          step: step of the evaluation.
          validated: whether there is a validation split.
          layers: number of ASH layers.
        """
        rows = [row for row in self.validation_rows() if int(row['step']) == step]
        shares = [row for row in read_rows(self._run_dir.file(ACTIVATIONS_FILE))
                  if int(row['step']) == step]
        return len(rows) == int(validated) and len(shares) == layers

    def drop_evaluation(self, step):
        """Drops the rows of the evaluation at a step, of which some may be missing."""
        self._run_dir.keep_rows(METRICS_FILE, self._columns, lambda row: not (
            row['split'] == VALIDATION and int(row['step']) == step))
        self._run_dir.keep_rows(ACTIVATIONS_FILE, ACTIVATIONS,
                                lambda row: int(row['step']) != step)

    def close(self):
        self._summaries.close()

    def _summarise(self, step, group, values):
        self._add_summary(step, *(
            tf.Summary.Value(tag='{}/{}'.format(group, name), simple_value=value)
            for name, value in values.items()))

    def _add_picture(self, step, tag, image):
        self._add_summary(step, tf.Summary.Value(tag=tag, image=tf.Summary.Image(
            height=image.shape[0], width=image.shape[1], colorspace=3,
            encoded_image_string=pictures.encode(image))))

    def _add_summary(self, step, *values):
        self._summaries.add_summary(tf.Summary(value=values), step)
        self._summaries.flush()
