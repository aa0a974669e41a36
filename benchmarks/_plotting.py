"""Plots of ratios to a rival."""
import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def bars(path, values, title, label, ticks):
    """Draws bars of ratios on a logarithmic axis, with a line at 1.

    Args:
      path: PNG file to write.
      values: list of (group, candidate, ratio). Groups and candidates are drawn in their order.
      title, label: texts of the plot and of its axis.
      ticks: list of ratios to mark.
    """
    groups = list(dict.fromkeys(group for group, _, _ in values))
    names = list(dict.fromkeys(name for _, name, _ in values))
    with matplotlib.rc_context({'axes.grid': True, 'grid.alpha': 0.3, 'axes.axisbelow': True,
                                'axes.spines.top': False, 'axes.spines.right': False}):
        figure = Figure(figsize=(10, 1.2 + 0.62 * len(groups)), constrained_layout=True)
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        height = 0.8 / len(names)
        for i, name in enumerate(names):
            ratios = {group: ratio for group, other, ratio in values if other == name}
            places = [groups.index(group) - 0.4 + (i + 0.5) * height for group in ratios]
            axes.barh(places, list(ratios.values()), height, label=name, color='C{}'.format(i))
        axes.axvline(1.0, color='black', lw=1)
        axes.set(xscale='log', xlabel=label, title=title)
        axes.set_yticks(range(len(groups)))
        axes.set_yticklabels(groups)
        axes.set_xticks(ticks)
        axes.xaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter('%g'))
        axes.xaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
        axes.invert_yaxis()
        axes.legend(loc='upper left', bbox_to_anchor=(1, 1))
        figure.savefig(path, dpi=110)
