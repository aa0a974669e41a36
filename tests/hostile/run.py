"""Judges hostile inputs, all or every n-th, and prints a table: a kind, its cases and its faults.

    run.py serve|train [EVERY [KIND]]

Run by the Python of that side, from the checkout; the exit status is 1 where there is a fault.
"""
import collections
import importlib
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / 'tools')]
os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')


def main(side, every=1, kind=None):
    importlib.import_module('_{}_side'.format(side))  # as every tool does first
    from tests.hostile import judging
    module = importlib.import_module('tests.hostile.{}_cases'.format(side))
    counts, wrong = collections.Counter(), collections.Counter()
    with tempfile.TemporaryDirectory(prefix='hostile-') as scratch:
        cases = [case for case in module.cases() if kind in (None, case.kind)]
        for case, faults in judging.judge(cases, scratch, int(every)):
            counts[case.kind] += 1
            wrong[case.kind] += bool(faults)
            for fault in faults:
                print('{} {}: {}'.format(case.kind, case.name, fault), flush=True)
    print('{:<24} {:>6} {:>7}'.format('kind', 'cases', 'faults'))
    for name in list(counts) + ['all']:
        values = [sum(c.values()) if name == 'all' else c[name] for c in (counts, wrong)]
        print('{:<24} {:>6} {:>7}'.format(name, *values))
    return int(sum(wrong.values()) > 0)


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
