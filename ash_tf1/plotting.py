"""The learning curve of a run, drawn from its log."""
import os

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ash_tf1 import config
from ash_tf1.files import replacing
from ash_tf1.run_log import ACTIVATIONS_FILE, METRICS_FILE, read_rows

CURVE_FILE = 'learning_curve.png'


def plot_learning_curve(run_dir):
    """Draws loss, top-1, learning rate and, for ASH, what its layers pass, over the epochs.

    Args:
      run_dir: folder of a run.

    Returns:
      The path of the picture, `learning_curve.png` in run_dir; None where nothing is logged yet.
    """
    rows = read_rows(os.path.join(run_dir, METRICS_FILE))
    if not rows:
        return None
    layers = read_rows(os.path.join(run_dir, ACTIVATIONS_FILE))
    settings = config.load(run_dir, config.SETTINGS_FILE, config.Settings)
    with matplotlib.rc_context({'axes.grid': True, 'grid.alpha': 0.3, 'axes.spines.top': False,
                                'axes.spines.right': False}):
        figure = Figure(figsize=(11, 7), constrained_layout=True)
        FigureCanvasAgg(figure)
        (loss, top1), (rate, shares) = figure.subplots(2, 2)
        for split, style in (('train', dict(color='C0', lw=1)),
                             ('test', dict(color='C1', marker='o', ms=4))):
            chosen = [row for row in rows if row['split'] == split]
            epochs = [float(row['epoch']) for row in chosen]
            loss.plot(epochs, [float(row['loss']) for row in chosen], label=split, **style)
            top1.plot(epochs, [100 * float(row['top1']) for row in chosen], label=split, **style)
        train = [row for row in rows if row['split'] == 'train']
        rate.plot([float(row['epoch']) for row in train],
                  [float(row['learning_rate']) for row in train], color='C2')
        _plot_shares(shares, layers, rows)
        for axes, title, unit in ((loss, 'Cross-entropy', 'nats'), (top1, 'Top-1 accuracy', '%'),
                                  (rate, 'Learning rate', ''),
                                  (shares, 'Units above the threshold, by layer', '%')):
            axes.set(title=title, xlabel='epoch', ylabel=unit)
        loss.legend()
        top1.legend(loc='lower right')
        figure.suptitle('{} with {} on {}, seed {}'.format(
            settings.net, settings.activation, settings.dataset, settings.seed))
        path = os.path.join(run_dir, CURVE_FILE)
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=110)
    return path


def _plot_shares(axes, layers, rows):
    """One line a layer, dark at the input and bright at the output."""
    if not layers:
        axes.text(0.5, 0.5, 'no layer with a threshold', ha='center', transform=axes.transAxes)
        return
    epoch_of = {row['step']: float(row['epoch']) for row in rows}
    names = list(dict.fromkeys(row['layer'] for row in layers))
    colors = matplotlib.cm.get_cmap('viridis')
    for i, name in enumerate(names):
        chosen = [row for row in layers if row['layer'] == name]
        axes.plot([epoch_of[row['step']] for row in chosen],
                  [100 * float(row['pass_share']) for row in chosen],
                  color=colors(i / max(len(names) - 1, 1)), lw=1,
                  label=name if i in (0, len(names) - 1) else None)
    axes.legend(fontsize='small')
