"""Pictures of samples: the grids of several runs at several epochs, and nearest training images."""
import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ash_tf1.training.pictures import encode, grid

INCHES = 3.4  # height of a grid of five rows
_STYLE = {'font.size': 11}


def draw_grids(path, grids, rows, columns):
    """Draws grids of samples in a table, each pixel as a square.

    Args:
      path: of the PNG file.
      grids: dict, (name of a row, name of a column) -> uint8 [N, H, W, 3]; all of one N.
      rows, columns: the names, in order.
    """
    height, width, _ = grid(next(iter(grids.values()))).shape
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(len(columns) * INCHES * width / height + 0.3,
                                 len(rows) * INCHES + 0.3), constrained_layout=True)
        FigureCanvasAgg(figure)
        axes = figure.subplots(len(rows), len(columns), squeeze=False)
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                axes[i, j].imshow(grid(grids[row, column]), interpolation='nearest')
                axes[i, j].set(xticks=[], yticks=[])
                axes[i, j].set_frame_on(False)
                if i == 0:
                    axes[i, j].set_title(column)
            axes[i, 0].set_ylabel(row)
        figure.savefig(path, dpi=110)


def draw_pairs(path, samples, references, columns=10):
    """Draws samples in rows, with the training image that is nearest to each below it."""
    rows, columns = [], min(columns, len(samples))
    for first in range(0, len(samples) // columns * columns, columns):
        rows += [samples[first:first + columns], references[first:first + columns]]
    with open(path, 'wb') as handle:
        handle.write(encode(grid(np.concatenate(rows), columns)))
