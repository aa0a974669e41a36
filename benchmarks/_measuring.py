"""What the benchmarks share: taking turns, medians with their spread, the machine, the CSV file."""
import csv
import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

SPREAD = ('median_ms', 'p25_ms', 'p75_ms', 'n')


def take_turns(runs, warm_up, repeats, clocks=None):
    """Times functions in turns, so that a noisy machine is noisy for each of them alike.

    Args:
      runs: dict of a key -> function without arguments.
      warm_up: untimed rounds before.
      repeats: timed rounds.
      clocks: functions that give seconds, such as time.process_time; by default time.perf_counter
        alone.

    Returns:
      A dict of each key -> list of seconds; with clocks, a tuple of one for each.
    """
    several = clocks or (time.perf_counter,)
    seconds = tuple({key: [] for key in runs} for _ in several)
    for i in range(warm_up + repeats):
        for key, run in runs.items():
            starts = [clock() for clock in several]
            run()
            if i >= warm_up:
                for clock, start, each in zip(several, starts, seconds):
                    each[key].append(clock() - start)
    return seconds if clocks else seconds[0]


def spread(seconds):
    """The columns of `SPREAD` for a list of seconds."""
    low, median, high = 1e3 * np.percentile(seconds, (25, 50, 75))
    return dict(median_ms='{:.3f}'.format(median), p25_ms='{:.3f}'.format(low),
                p75_ms='{:.3f}'.format(high), n=len(seconds))


def machine():
    """The processor and how many cores of it there are, in a few words."""
    model = platform.processor() or platform.machine()
    if os.path.exists('/proc/cpuinfo'):
        with open('/proc/cpuinfo', encoding='utf-8') as handle:
            names = [line.split(':', 1)[1].strip() for line in handle
                     if line.startswith('model name')]
        model = names[0] if names else model
    return '{}, {} cores'.format(model, os.cpu_count())


def copy_bandwidth(megabytes=256, repeats=9):
    """Bytes a second that all cores together read and write in copying memory: the best of some."""
    cores = os.cpu_count() or 1
    parts = [np.ones(megabytes * 2 ** 20 // cores // 8) for _ in range(cores)]
    copies = [np.zeros_like(part) for part in parts]
    with ThreadPoolExecutor(cores) as pool:
        seconds = take_turns({'copy': lambda: list(pool.map(np.copyto, copies, parts))}, 2,
                             repeats)['copy']
    return 2 * sum(part.nbytes for part in parts) / min(seconds)


class Table:
    """A CSV file whose rows are printed as they come."""

    def __init__(self, path, columns, line):
        os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
        self.path, self.rows = path, []
        self._handle = open(path, 'w', newline='', encoding='utf-8')
        self._writer = csv.DictWriter(self._handle, columns)
        self._writer.writeheader()
        self._line = line

    def add(self, row):
        self.rows.append(row)
        self._writer.writerow(row)
        self._handle.flush()
        print(self._line.format(**row), flush=True)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self._handle.close()
        print(self.path)
