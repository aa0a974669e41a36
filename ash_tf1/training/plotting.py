"""The learning curve of a run, drawn from its log."""
import functools
import os

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ash_tf1.training.log_reading import ACTIVATIONS_FILE, METRICS_FILE, read_rows
from ash_tf1.training.run_dir import load_settings, replacing

CURVE_FILE = 'learning_curve.png'
_STYLE = {'axes.grid': True, 'grid.alpha': 0.3, 'axes.spines.top': False,
          'axes.spines.right': False}
_SPLITS = (('train', dict(color='C0', lw=1)), ('validation', dict(color='C1', marker='o', ms=4)))
_SHORT = 20  # points of a series, up to which each has a marker: a single one is no line


def plot_learning_curve(run_dir, metrics):
    """Draws the metrics, the learning rate and the pass shares of ASH layers over the epochs.

    Args:
      run_dir: folder of a run.
      metrics: the `Metric`s of its task; each that was logged gets its own axes.

    Returns:
      The path of the picture, `learning_curve.png` in run_dir; None if nothing is logged yet.
    """
    rows = read_rows(os.path.join(run_dir, METRICS_FILE))
    if not rows:
        return None
    layers = read_rows(os.path.join(run_dir, ACTIVATIONS_FILE))
    settings = load_settings(run_dir)
    panels = [functools.partial(_plot_metric, metric=metric, rows=rows) for metric in metrics
              if any(row[metric.name] for row in rows)]
    panels.append(functools.partial(_plot_rate, rows=rows))
    if layers:
        panels.append(functools.partial(_plot_shares, layers=layers, rows=rows))
    with matplotlib.rc_context(_STYLE):
        lines = (len(panels) + 1) // 2
        figure = Figure(figsize=(11, 3.5 * lines), constrained_layout=True)
        FigureCanvasAgg(figure)
        places = figure.add_gridspec(lines, 2)
        for i, plot in enumerate(panels):
            line, column = divmod(i, 2)
            alone = i == len(panels) - 1 and column == 0
            axes = figure.add_subplot(places[line, :] if alone else places[line, column])
            plot(axes)
            axes.set_xlim(0, 1.02 * max(float(row['epoch']) for row in rows))
        figure.suptitle('{} with {} on {}, seed {}'.format(
            settings.net or settings.task, settings.activation, settings.dataset, settings.seed))
        with replacing(run_dir, CURVE_FILE) as temporary:
            figure.savefig(temporary, dpi=110)
    return os.path.join(run_dir, CURVE_FILE)


def _plot_series(axes, rows, values, **style):
    """Draws values over the epochs of rows of the log, as a line; a short one with markers."""
    if len(rows) <= _SHORT:
        style = dict(dict(marker='o', ms=4), **style)
    axes.plot([float(row['epoch']) for row in rows], values, **style)


def _plot_metric(axes, metric, rows):
    for split, style in _SPLITS:
        chosen = [row for row in rows if row['split'] == split and row[metric.name]]
        if chosen:
            _plot_series(axes, chosen, [metric.scale * float(row[metric.name]) for row in chosen],
                         label=split, **style)
    axes.set(title=metric.title, xlabel='epoch', ylabel=metric.unit)
    axes.legend()


def _plot_rate(axes, rows):
    train = [row for row in rows if row['split'] == 'train']
    _plot_series(axes, train, [float(row['learning_rate']) for row in train], color='C2')
    axes.set(title='Learning rate', xlabel='epoch')


def _plot_shares(axes, layers, rows):
    """Draws one line per layer, from dark at the input to bright at the output."""
    row_of = {row['step']: row for row in rows}
    names = list(dict.fromkeys(row['layer'] for row in layers))
    colors = matplotlib.cm.get_cmap('viridis')
    for i, name in enumerate(names):
        chosen = [row for row in layers if row['layer'] == name]
        _plot_series(axes, [row_of[row['step']] for row in chosen],
                     [100 * float(row['pass_share']) for row in chosen],
                     color=colors(i / max(len(names) - 1, 1)), lw=1,
                     label=name if i in (0, len(names) - 1) else None)
    axes.set(title='Units above the threshold, by layer', xlabel='epoch', ylabel='%')
    axes.legend(fontsize='small')
