"""What the command refuses, in one line, before it listens.

All cases run in one process of their own: KServe and tritonclient cannot be imported into one.
"""

import json
import socket
import subprocess
import sys

import artifacts
import numpy as np
import onnx
import pytest
from endpoint import ROOT

PROGRAM = """
import contextlib, io, json, sys
sys.argv = ['serve.py']
sys.path.insert(0, 'tools')
import _serve_side
from ash_onnx.commands.serve import main
results = []
for arguments in json.load(sys.stdin):
    with contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            status = main(arguments)
        except SystemExit as end:
            status = end.code
    results.append([status, [line for line in said.getvalue().splitlines()
                             if ' WARNING ' not in line and ' INFO ' not in line]])
print(json.dumps(results))
"""
CASES = {
    'no such folder': (['no/such'], 'no/such: no such artifact folder'),
    'a name twice': (['{colours}', '{other}/colours'], "two models 'colours': rename a folder"),
    'a name that is another model': (['{colours}', '{colours_image}'], "models 'colours_image'"),
    'a name that no URL has': (['{space}'], 'whose name must be 1 to 100 letters'),
    'other answers than its test data': (['{wrong}'], 'does not answer as its test data say'),
    'port': (['{colours}', '--http-port', '70000'], 'http_port must be an integer from 0 to 65535'),
    'queue': (['{colours}', '--queue', '-1'], 'queue must be an integer from 0'),
    'workers': (['{colours}', '--workers', '0'], 'workers must be an integer from 1'),
    'time': (['{colours}', '--time-limit', '0'], 'time_limit must be a number of seconds'),
    'endless time': (['{colours}', '--time-limit', 'inf'], 'time_limit must be a number'),
    'pixels': (['{colours}', '--max-pixels', str(2**27)], 'max_pixels must be an integer from'),
    'provider': (['{colours}', '--provider', 'cuda'], "provider 'cuda' is not in this onnxruntime"),
    'address': (['{colours}', '--host', '192.0.2.1', '--grpc-port', '0', '--http-port', '0'],
                'gRPC cannot listen on 192.0.2.1:0: '),
    'HTTP port that is taken': (['{colours}', '--grpc-port', '0', '--http-port', '{taken}'],
                                'HTTP cannot listen on 127.0.0.1:{taken}: '),
    'gRPC port that is taken': (['{colours}', '--http-port', '0', '--grpc-port', '{taken}'],
                                'gRPC cannot listen on 127.0.0.1:{taken}: '),
}


def wrong_artifact(folder):
    """An artifact whose test data are not what it answers."""
    artifacts.classifier(folder)
    data = folder / 'test_data_set_0'
    data.mkdir()
    tensors = {'input_0': ('images', np.zeros([1, artifacts.HEIGHT, artifacts.WIDTH, 3], np.uint8)),
               'output_0': ('logits', np.ones([1, 3], np.float32)),
               'output_1': ('probabilities', np.full([1, 3], 1 / 3, np.float32))}
    for file, (name, array) in tensors.items():
        (data / f'{file}.pb').write_bytes(
            onnx.numpy_helper.from_array(array, name).SerializeToString())
    return folder


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp('commands')
    names = {name: str(artifacts.classifier(root / name)) for name in ('colours', 'colours_image')}
    artifacts.classifier(root / 'other/colours')
    names.update(other=str(root / 'other'), space=str(artifacts.classifier(root / 'a b')),
                 wrong=str(wrong_artifact(root / 'wrong')))
    with socket.create_server(('127.0.0.1', 0)) as taken:
        names['taken'] = taken.getsockname()[1]
        filled = {case: [text.format(**names) for text in [*arguments, words]]
                  for case, (arguments, words) in CASES.items()}
        done = subprocess.run([sys.executable, '-c', PROGRAM], cwd=ROOT, text=True,
                              input=json.dumps([texts[:-1] for texts in filled.values()]),
                              capture_output=True)
    assert done.returncode == 0, done.stderr
    return {case: (*result, filled[case][-1])
            for case, result in zip(CASES, json.loads(done.stdout), strict=True)}


@pytest.mark.parametrize('case', CASES)
def test_what_cannot_be_served_is_one_line(results, case):
    status, lines, words = results[case]
    assert (status, len(lines)) == (2, 1), lines
    assert lines[0].startswith('serve.py: error: ') and words in lines[0]


def test_help_says_what_it_is_not():
    done = subprocess.run([sys.executable, ROOT / 'tools/serve.py', '--help'], text=True,
                          capture_output=True)
    assert done.returncode == 0 and 'no TLS and no users' in ' '.join(done.stdout.split())
