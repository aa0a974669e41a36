"""The commands: what they print, their exit status, and one line for bad input."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

pytestmark = pytest.mark.fast

ROOT = Path(__file__).resolve().parents[2]
COLOURS = {'red': (200, 10, 10), 'green': (10, 200, 10), 'blue': (10, 10, 200)}
TOOLS = ['verify_onnx', 'predict', 'evaluate_onnx', 'generate']


@pytest.fixture
def tree(save_image, tmp_path):
    for name, colour in COLOURS.items():
        save_image(f'tree/{name}/a.png', colour)
    return tmp_path / 'tree'


@pytest.fixture
def run(load_tool, capsys):
    """Function that runs a command in this process: (exit status, stdout, stderr)."""
    def run(name, *arguments):
        status = load_tool(name).main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()
    return run


def spoil(artifact):
    path = artifact / 'test_data_set_0' / 'output_0.pb'
    tensor = onnx.TensorProto.FromString(path.read_bytes())
    array = onnx.numpy_helper.to_array(tensor) + np.float32(0.5)
    path.write_bytes(onnx.numpy_helper.from_array(array, 'logits').SerializeToString())


def test_verify(run, artifact):
    status, out, err = run('verify_onnx', artifact)
    assert (status, err) == (0, '')
    assert 'predicted classes: 5 of 5 agree' in out and 'passed on cpu' in out
    spoil(artifact)
    status, out, err = run('verify_onnx', artifact)
    assert (status, err) == (1, '')
    assert 'FAILED on cpu' in out
    assert run('verify_onnx', artifact, '--atol', '1')[0] == 0


@pytest.mark.parametrize('spoiled', [False, True])
def test_verify_json(run, artifact, spoiled):
    if spoiled:
        spoil(artifact)
    status, out, _ = run('verify_onnx', artifact, '--json')
    result = json.loads(out)
    assert status == int(spoiled) and result['passed'] != spoiled
    assert result['artifact'] == str(artifact)
    assert result['images'] == 5 and len(result['differences']) == 2


def test_predict(run, artifact, tree):
    status, out, err = run('predict', artifact, tree / 'green' / 'a.png', '--top', 1)
    assert (status, err) == (0, '')
    assert out.splitlines()[1].split()[:2] == [str(tree / 'green' / 'a.png'), 'green']
    assert len(out.splitlines()) == 2


def test_predict_json_and_save(run, artifact, tree, tmp_path):
    status, out, _ = run('predict', artifact, tree / 'red', tree / 'blue' / 'a.png', '--json',
                         '--threads', 1, '--save', tmp_path / 'out.png')
    result = json.loads(out)
    assert status == 0 and result['errors'] == []
    assert [item['top'][0]['label'] for item in result['predictions']] == ['red', 'blue']
    assert sum(item['probability'] for item in result['predictions'][0]['top']) == pytest.approx(1)
    assert (tmp_path / 'out.png').stat().st_size > 500


def test_predict_finishes_the_others_after_a_bad_file(run, artifact, tree, tmp_path):
    (tmp_path / 'bad.png').write_text('no image')
    paths = [tmp_path / 'bad.png', tree / 'red', tmp_path / 'nowhere.png']
    status, out, err = run('predict', artifact, *paths, '--save', tmp_path / 'out.png')
    assert status == 2
    assert len(out.splitlines()) == 1 + 3
    assert err.splitlines() == [
        f'predict.py: error: {tmp_path}/bad.png: neither a JPEG nor a PNG image',
        f'predict.py: error: {tmp_path}/nowhere.png: No such file or directory']
    assert (tmp_path / 'out.png').exists()
    status, out, _ = run('predict', artifact, *paths, '--json')
    assert status == 2
    assert [item['path'] for item in json.loads(out)['errors']] == [
        str(tmp_path / 'bad.png'), str(tmp_path / 'nowhere.png')]


def test_names_that_the_terminal_cannot_show(artifact, tree, tmp_path):
    """Neither loses the predictions, nor reaches the terminal raw."""
    os.rename(os.fsencode(tree / 'red' / 'a.png'), os.fsencode(tree / 'red') + b'/\xff\xe9.png')
    (tree / 'green' / 'a.png').rename(tree / 'green' / 'caf\u00e9\u2603.png')
    (tree / 'blue' / 'a.png').rename(tree / 'blue' / 'a\x1b[31m\nb.png')
    (tree / 'blue' / '\x1b[31m').write_text('no image')
    done = subprocess.run(
        [sys.executable, str(ROOT / 'tools' / 'predict.py'), str(artifact), '--top', '1',
         *(str(tree / name) for name in ('red', 'green', 'blue')), 'no\x1b[31m\udcff.png'],
        capture_output=True, env={**os.environ, 'PYTHONIOENCODING': 'ascii', 'PYTHONUTF8': '0'})
    lines = done.stdout.decode('ascii').splitlines()
    assert [line.split()[1] for line in lines[1:]] == ['red', 'green', 'blue']
    assert r'\udcff\udce9.png' in lines[1] and r'caf\xe9\u2603.png' in lines[2]
    assert r'a\x1b[31m\nb.png' in lines[3]
    assert done.returncode == 2 and done.stderr.decode('ascii').splitlines() == [
        'predict.py: passed over 1, no JPEG or PNG files: ' + str(tree / 'blue') + r'/\x1b[31m',
        r'predict.py: error: no\x1b[31m\udcff.png: No such file or directory']


def test_predict_tells_what_it_passed_over(run, artifact, tree):
    (tree / 'red' / 'a.bmp').write_text('no image')
    status, _, err = run('predict', artifact, tree / 'red')
    assert (status, err) == (
        0, f'predict.py: passed over 1, no JPEG or PNG files: {tree}/red/a.bmp\n')
    status, out, err = run('predict', artifact, tree / 'red', '--json')
    assert (status, err, json.loads(out)['others']) == (0, '', [f'{tree}/red/a.bmp'])


def test_predict_with_bad_files_only(run, artifact, tmp_path):
    status, out, err = run('predict', artifact, tmp_path / 'a.png', '--save', tmp_path / 'out.png')
    assert (status, out, len(err.splitlines())) == (2, '', 1)
    assert not (tmp_path / 'out.png').exists()


def test_predict_never_replaces_its_input(run, artifact, tree):
    path = tree / 'red' / 'a.png'
    before = path.read_bytes()
    status, _, err = run('predict', artifact, tree / 'red', '--save', path, '--overwrite')
    assert status == 2 and 'one of the images to classify' in err
    assert path.read_bytes() == before


def test_evaluate(run, artifact, tree):
    status, out, err = run('evaluate_onnx', artifact, tree, '--batch-size', 2, '--quiet')
    assert (status, err) == (0, '')
    assert 'top-1   100.00% (3 correct)' in out
    status, out, _ = run('evaluate_onnx', artifact, tree, '--json')
    result = json.loads(out)
    assert status == 0
    assert (result['n'], result['top1'], result['top5']) == (3, 1.0, None)
    assert result['classes'][2] == {'label': 'blue', 'n': 1, 'correct': 1, 'accuracy': 1.0}


@pytest.mark.parametrize('name, arguments, message', [
    ('verify_onnx', ['nowhere'], 'nowhere: no such artifact'),
    ('verify_onnx', ['tree'], 'tree: this folder has no model.onnx'),
    ('verify_onnx', ['tree/red/a.png'], 'not an ONNX model'),
    ('verify_onnx', ['artifact', '--rtol', '-1'], 'rtol must be'),
    ('verify_onnx', ['artifact', '--threads', '0'], 'threads must be'),
    ('predict', ['artifact', 'tree/red', '--top', '0'], 'top must be'),
    ('predict', ['artifact', 'tree'], 'tree: no JPEG or PNG image in this folder'),
    ('predict', ['artifact', 'tree/red', '--save', 'out.bmp'], 'out.bmp: a picture'),
    ('predict', ['artifact', 'tree/red', '--save', 'no/out.png'], 'there is no folder no'),
    ('evaluate_onnx', ['artifact', 'tree/red'], 'no JPEG or PNG images in folders'),
    ('evaluate_onnx', ['artifact', '.'], "no label 'artifact'"),
    ('evaluate_onnx', ['artifact', 'nowhere'], 'nowhere: No such file or directory'),
    ('evaluate_onnx', ['artifact', 'tree', '--batch-size', '0'], 'batch_size must be'),
])
def test_bad_input_is_one_line_and_status_2(run, artifact, tree, tmp_path, monkeypatch, name,
                                            arguments, message):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(name, *arguments)
    assert (status, out) == (2, '')
    assert err.startswith(f'{name}.py: error: ') and message in err
    assert err.count('\n') == 1


@pytest.mark.parametrize('name', TOOLS)
@pytest.mark.parametrize('arguments', [[], ['artifact', 'x', '--provider', 'gpu']])
def test_wrong_usage_is_status_2(load_tool, capsys, name, arguments):
    with pytest.raises(SystemExit) as stop:
        load_tool(name).main(arguments)
    assert stop.value.code == 2
    assert f'{name}.py: error: ' in capsys.readouterr().err


@pytest.mark.parametrize('name, arguments, status, answer', [
    ('verify_onnx', ['artifact'], 0, 'passed on cpu'),
    ('predict', ['artifact', 'tree/red'], 0, 'tree/red/a.png  red'),
    ('evaluate_onnx', ['artifact', 'tree'], 0, 'top-1   100.00%'),
    ('predict', ['nowhere', 'tree/red'], 2,
     'predict.py: error: nowhere: no such artifact folder or ONNX file'),
])
def test_runs_from_a_checkout_in_any_folder(artifact, tree, tmp_path, name, arguments, status,
                                            answer):
    home = tmp_path / 'home'
    home.mkdir()
    hidden = ('PYTHONPATH', 'ORT_DISABLE_TELEMETRY', 'CI')
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    environment.update(HOME=str(home), TMPDIR=str(home))
    done = subprocess.run([sys.executable, str(ROOT / 'tools' / f'{name}.py'), *arguments],
                          cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == status
    if status:
        assert (done.stdout, done.stderr) == ('', answer + '\n')
    else:
        assert answer in done.stdout and done.stderr == ''
    # Where onnxruntime reports to its maker, it leaves an identifier and a database.
    assert not list(home.iterdir())
