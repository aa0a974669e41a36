"""Hostile CSV files of a run that is resumed: damaged in bytes, in lines and in fields."""
import csv
import io
import os
import shutil
from pathlib import Path

from ash_tf1 import training
from ash_tf1.commands import train
from ash_tf1.training.log_reading import read_rows
from tests.hostile import mutations
from tests.hostile.judging import Case, made
from tests.train.miniature import registered_tiny, tiny_settings

LOGS = ('metrics.csv', 'activations.csv')


def finished_run(folder):
    """A run of the miniature net, over its two epochs, in run/."""
    with registered_tiny():
        training.train(tiny_settings(epochs=2, log_every=2), os.path.join(folder, 'run'),
                       progress=False, report=lambda line: None)


def command(main):
    """What runs a command that knows the miniature net and its data set."""
    def run(argv):
        with registered_tiny():
            return main(argv)
    return run


def _fields(text, rng, odd):
    """Puts an odd value into a field of a line, which may be the first."""
    rows = list(csv.reader(io.StringIO(text)))
    row = mutations.pick(rows, rng)
    row[rng.randint(len(row))] = odd
    stream = io.StringIO(newline='')
    csv.writer(stream).writerows(rows)
    return stream.getvalue().encode('utf-8', 'surrogatepass')


FIELDS = ('', 'x', 'nan', 'inf', '-1', '1.5', '1e999', '9' * 30, '9' * 140000, 'x' * 200000, '"',
          '\0', 'test', '☃', '\x1b[31m', '\udcff', ' 5', '+5', '0x5', '5_0', 'True', '5\n6')


def _lines(text, rng):
    lines = text.splitlines(True)
    at = rng.randint(len(lines))
    mutations.pick([
        lambda: lines.pop(at), lambda: lines.insert(at, lines[at]), lambda: lines.insert(at, '\n'),
        lambda: lines.insert(at, ',' * 7 + '\n'), lambda: lines.reverse(), lambda: lines.clear(),
        lambda: lines.__setitem__(at, lines[at].rstrip('\r\n') + ',more\n'),
        lambda: lines.__setitem__(at, lines[at].rpartition(',')[0] + '\n'),
        lambda: lines.__setitem__(at, '"' + lines[at]), lambda: lines.pop(0),
        lambda: lines.__setitem__(0, lines[0].replace('step', 'steps')),
        lambda: lines.__setitem__(at, lines[at][:rng.randint(len(lines[at]))])], rng)()
    return ''.join(lines).encode()


def _others(path, text, rng):
    os.remove(str(path))
    mutations.pick([
        lambda: None, lambda: os.mkfifo(str(path)), lambda: path.mkdir(),
        lambda: os.symlink('/dev/zero', str(path)), lambda: path.write_bytes(b''),
        lambda: os.truncate(open(str(path), 'wb').name, 2 ** 40),
        lambda: path.write_bytes(text.replace('\r\n', '\n').encode()),
        lambda: path.write_bytes(text.encode('utf-16')),
        lambda: path.write_bytes(b'\xef\xbb\xbf' + text.encode())], rng)()


def log(number):
    """A finished run is resumed: that reads both files, and writes them anew."""
    name = LOGS[number % 2]

    def make(folder, rng):
        run = Path(folder, 'input')
        shutil.copytree(os.path.join(made(finished_run), 'run'), str(run))
        path = run / name
        text = path.read_bytes().decode()
        way = number // 2 % 4
        if way == 0:
            path.write_bytes(mutations.pick(mutations.BYTES, rng)(text.encode(), rng))
        elif way == 1:
            path.write_bytes(_fields(text, rng, mutations.pick(FIELDS, rng)))
        elif way == 2:
            path.write_bytes(_lines(text, rng))
        else:
            _others(path, text, rng)
        return ['--resume', '--run-dir', str(run), '--quiet'], str(run)

    def right(out, run):
        """Rows stand where they stood; one that is gone between ends of epochs is not missed."""
        whole = os.path.join(made(finished_run), 'run')
        for log in LOGS:
            steps, expected = ([(int(row['step']), row.get('split', row.get('layer')))
                                for row in read_rows(os.path.join(home, log))]
                               for home in (run, whole))
            missed = set(expected) - set(steps)
            if steps != [one for one in expected if one not in missed] or any(
                    step % 5 == 0 for step, _ in missed):
                return False
        return True
    return Case('log of a run', number, make, command(train.main), right, names=(name,),
                writes=('input',), leaves=('input/.lock',))
