"""Converts hostile graphs by tools/convert.py: TensorFlow's part of test_hostile_graphs.py.

    convert_all.py OUT few|all|NAME [PART PARTS]

makes the graphs of `cases` in a folder of OUT each, converts them there, and prints a line of JSON
for each: the exit status, stderr, the seconds, and what is changed outside OUT_DIR. With PART and
PARTS it takes every PARTS-th case, from PART on.
"""
import hashlib
import json
import multiprocessing
import os
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[3] / 'tools'),
                str(Path(__file__).resolve().parents[1])]
import _train_side  # noqa: E402, F401
import bases  # noqa: E402
import cases  # noqa: E402
import command  # noqa: E402
from workplace import CASES, MESSAGES, Workplace  # noqa: E402

OUT_DIR = 'new/newer/artifact'  # beside what is there, with parents that are missing
LIMITS = ['--time-limit', '45', '--memory-limit', '4']


def make(out, folders):
    """Makes the sources, in a process that ends: a session leaves threads, which no fork copies."""
    bases.make(os.path.join(out, '.bases'))
    for folder, name in folders.items():
        for part in ('cwd', 'home', 'tmp', 'other'):
            (folder / part).mkdir(parents=True)
            (folder / part / 'precious.txt').write_text('precious')
        arguments = CASES[name](Workplace(os.path.join(out, '.bases'), str(folder)))
        (folder / 'arguments.json').write_text(json.dumps(arguments))


def listing(folder):
    """path -> SHA-256 of its content, of all there is in a folder but OUT_DIR."""
    found = {}
    for path in sorted(Path(folder).rglob('*')):
        name = path.relative_to(folder).as_posix()
        if not (name + '/').startswith(OUT_DIR + '/'):
            found[name] = (hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file()
                           else 'folder')
    return found


def run(folder):
    """Converts what is in a folder, and tells how that ended."""
    arguments = json.loads((folder / 'arguments.json').read_text())
    os.environ.update(HOME=str(folder / 'home'), TMPDIR=str(folder / 'tmp'))
    tempfile.tempdir = None
    os.chdir(str(folder / 'cwd'))
    before = listing(folder)
    result = command.run(folder.parent, arguments[0], str(folder / OUT_DIR), *LIMITS,
                         *arguments[1:])
    after = listing(folder)
    if result['status'] == 0:  # the parents of OUT_DIR
        after = {name: value for name, value in after.items() if name not in ('new', 'new/newer')}
    changed = sorted(name for name in set(before) | set(after)
                     if before.get(name) != after.get(name))
    return dict(result, changed=changed, artifact=str(folder / OUT_DIR))


def main(out, which, part=0, parts=1):
    names = {'few': cases.FEW, 'all': tuple(CASES)}.get(which, (which,))[int(part)::int(parts)]
    folders = {Path(out, str(number)): name for number, name in enumerate(names)}
    making = multiprocessing.get_context('fork').Process(target=make, args=(out, folders))
    making.start()
    making.join()
    if making.exitcode:
        sys.exit('the graphs could not be made')
    for folder, name in folders.items():
        print(json.dumps(dict(run(folder), name=name, message=MESSAGES[name])), flush=True)


if __name__ == '__main__':
    main(*sys.argv[1:])
