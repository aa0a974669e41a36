"""Converts nets of other libraries by tools/convert.py: TensorFlow's part of test_zoo.py.

    convert_members.py OUT NAME...

makes each net of members.json in OUT/NAME, converts it to OUT/NAME/artifact, and prints a line of
JSON: the name, what the command was given, its exit status, what it said, and its seconds, without
those of the start of Python.
"""
import json
import multiprocessing
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import command  # noqa: E402
import nets  # noqa: E402

MEMBERS = json.loads(Path(__file__).with_name('members.json').read_text())


def main(out, *names):
    for name in names:
        folder, member = os.path.join(out, name), MEMBERS[name]
        os.makedirs(folder)
        # In a process that ends: a session leaves threads, which the command's fork does not copy.
        with multiprocessing.get_context('fork').Pool(1) as pool:
            path = pool.apply(nets.make, (member, folder))
        # A MetaGraph holds what trains, too.
        arguments = ['--output', 'scores'] if member['form'] == 'meta_graph' else []
        result = command.run(folder, path, os.path.join(folder, 'artifact'), *arguments)
        print(json.dumps(dict(result, name=name, arguments=arguments)), flush=True)


if __name__ == '__main__':
    main(*sys.argv[1:])
