"""What a run writes down while it goes: two CSV files and TensorBoard summaries."""
import csv
import os

import tensorflow.compat.v1 as tf

from ash_tf1.files import replacing

METRICS_FILE = 'metrics.csv'
ACTIVATIONS_FILE = 'activations.csv'
METRICS = ('step', 'epoch', 'split', 'loss', 'top1', 'learning_rate', 'images_per_second')
ACTIVATIONS = ('step', 'layer', 'z_k', 'alpha', 'pass_share')


class RunLog:
    """Appends rows to `metrics.csv` and `activations.csv` of a folder, and to TensorBoard.

    Rows later than the step a run resumes from belong to steps that will be done again: they are
    dropped.
    """

    def __init__(self, run_dir, step):
        """Opens the log of a run that stands at `step`."""
        self._paths = {columns: os.path.join(run_dir, name) for columns, name in (
            (METRICS, METRICS_FILE), (ACTIVATIONS, ACTIVATIONS_FILE))}
        for columns, path in self._paths.items():
            kept = [row for row in read_rows(path) if int(row['step']) <= step]
            with replacing(path) as temporary, open(temporary, 'w', newline='') as handle:
                writer = csv.DictWriter(handle, columns)
                writer.writeheader()
                writer.writerows(kept)
        self._summaries = tf.summary.FileWriter(run_dir, filename_suffix='.ash')

    def metrics(self, **row):
        """Writes a row of `METRICS`; a field left out stays empty."""
        self._append(METRICS, row)
        self._summarise(row['step'], row['split'], {
            name: row[name] for name in METRICS[3:] if name in row})

    def activations(self, step, rows):
        """Writes a row of `ACTIVATIONS`, less the step, for each layer."""
        for row in rows:
            self._append(ACTIVATIONS, dict(row, step=step))
            self._summarise(step, row['layer'], {
                name: row[name] for name in ACTIVATIONS[2:] if name in row})

    def close(self):
        self._summaries.close()

    def _append(self, columns, row):
        with open(self._paths[columns], 'a', newline='') as handle:
            csv.DictWriter(handle, columns).writerow(row)

    def _summarise(self, step, group, values):
        self._summaries.add_summary(tf.Summary(value=[
            tf.Summary.Value(tag='{}/{}'.format(group, name), simple_value=value)
            for name, value in values.items()]), step)
        self._summaries.flush()


def read_rows(path):
    """The rows of a CSV file as dictionaries of strings; none where the file is missing."""
    if not os.path.exists(path):
        return []
    with open(path, newline='') as handle:
        return list(csv.DictReader(handle))
