#!/usr/bin/env python3
"""Convert nets of other libraries and make a table of how that went; see --help."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import ash_onnx  # noqa: E402

PROJECT_TESTS = ROOT / 'tests/project'
MEMBERS = json.loads((PROJECT_TESTS / 'zoo/members.json').read_text())
FORMS = {'frozen': 'frozen graph', 'h5': '.h5', 'saved_model': 'SavedModel',
         'meta_graph': 'MetaGraph'}
COLUMNS = ('source', 'given', 'result', 'largest difference', 'tolerance', 'seconds')


def main(argv=None):
    parser = argparse.ArgumentParser(
        description='Convert nets of tf.keras.applications and tf_slim.nets with random weights by '
                    'tools/convert.py, verify them, and print a table in Markdown. Seconds are '
                    'those of the conversion, without the start of Python.',
        epilog="example: python benchmarks/converting.py keras/MobileNet --source 'an LSTM' "
               'frozen.pb --set keep_prob=1.0')
    parser.add_argument('members', nargs='*', metavar='NAME',
                        help='of tests/project/zoo/members.json (default: all, without --source)')
    parser.add_argument('--source', nargs=argparse.REMAINDER, default=[], metavar='X',
                        help='a title, a source, and arguments of tools/convert.py: one row more')
    parser.add_argument('--train-python', default=str(ROOT / '.venv/train/bin/python'),
                        metavar='PATH', help='Python with TensorFlow 1.15')
    args = parser.parse_args(argv)
    unknown = sorted(set(args.members) - set(MEMBERS))
    if unknown:
        parser.error('no member is called {}; there are {}'.format(unknown[0], ', '.join(MEMBERS)))
    print_row(COLUMNS)
    print_row(['---'] * len(COLUMNS))
    for name in args.members or ([] if args.source else MEMBERS):
        member = MEMBERS[name]
        with tempfile.TemporaryDirectory() as folder:
            result = run(args.train_python, 'zoo/convert_members.py', folder, name)
            print_result('{}, {}x{}, {}'.format(name, member['size'], member['size'],
                                                FORMS[member['form']]),
                         result['arguments'], result, os.path.join(folder, name, 'artifact'))
    if args.source:
        title, source, *arguments = args.source
        with tempfile.TemporaryDirectory() as folder:
            artifact = os.path.join(folder, 'artifact')
            result = run(args.train_python, 'command.py', source, artifact, *arguments)
            print_result(title, arguments, result, artifact)


def run(python, program, *arguments):
    """What a program of the tests says of one conversion."""
    done = subprocess.run([python, '-W', 'ignore', str(PROJECT_TESTS / program), *arguments],
                          text=True, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def print_result(title, arguments, result, artifact):
    given = '`{}`'.format(' '.join(arguments)) if arguments else ''
    if result['status']:
        said = result['stderr'].partition('error: ')[2].strip()
        print_row([title, given, 'refused: ' + said, '', '', '{:.0f}'.format(result['seconds'])])
        return
    verification = ash_onnx.verify(ash_onnx.load_artifact(artifact, provider='cpu'))
    largest = max(row.max_rel_difference for row in verification.differences)
    print_row([title, given, 'verified' if verification.passed else 'FAILED',
               '{:.1e}'.format(largest), '{:.1e}'.format(verification.tolerance.relative),
               '{:.0f}'.format(result['seconds'])])


def print_row(cells):
    print('| {} |'.format(' | '.join(cells)), flush=True)


if __name__ == '__main__':
    sys.exit(main())
