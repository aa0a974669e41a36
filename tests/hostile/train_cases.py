"""Hostile inputs of the TensorFlow side: checkpoints, records, archives, texts, folders."""
import dataclasses
import gzip
import io
import json
import os
import pickle
import shutil
import tarfile
from pathlib import Path

import cv2
import numpy as np

from ash_tf1 import checkpoint
from ash_tf1.checkpoint_import.rules import read_rules
from ash_tf1.commands import import_checkpoint
from ash_tf1.input_pipelines import load_dataset
from ash_tf1.input_pipelines.images import find_labelled_images, read_image
from ash_tf1.input_pipelines.restricted_pickle import load_pickle
from ash_tf1.marking import check_replaceable, mark
from ash_tf1.tasks.classification.labels import read_labels
from ash_tf1.training.run_dir import MODEL_FILE, SETTINGS_FILE, load_model, load_settings
from ash_tf1.training.settings import Settings
from tests.hostile import argument_cases, graph_cases, mutations, tables
from tests.hostile.judging import Case, reading
from tests.hostile.log_cases import log
from tests.hostile.old_checkpoint_cases import old_checkpoint

PREFIX = str(Path(__file__).resolve().parents[2] / (
    'checkpoints/resnet20-cifar10-ash/run/model.ckpt-2730'))
INDEX, DATA = PREFIX + '.index', PREFIX + '.data-00000-of-00001'


def checkpoint_index(number):
    """Imported under its own names: a value that is read must be one that was written."""
    def make(folder, rng):
        change = tables.changed if number % 3 else mutations.pick(mutations.BYTES, rng)
        Path(folder, 'input.index').write_bytes(change(Path(INDEX).read_bytes(), rng))
        shutil.copy(DATA, folder + '/input.data-00000-of-00001')
        return [folder + '/input'], None

    def read(path):
        prefix = checkpoint.find_checkpoint(path, v1=True)
        stored = checkpoint.list_variables(prefix)
        return [value.sum() for _, value in checkpoint.read_variables(
            prefix, stored, {name: name for name in stored})]
    return Case('checkpoint index', number, make, reading(read))


def checkpoint_data(number):
    def make(folder, rng):
        shutil.copy(INDEX, folder + '/input.index')
        data = mutations.pick(mutations.BYTES, rng)(Path(DATA).read_bytes(), rng)
        Path(folder, 'input.data-00000-of-00001').write_bytes(data)
        Path(folder, 'rules').write_text('regex (.*) new/\\1\n')
        return [folder + '/input', folder + '/new', '--map', folder + '/rules', '--dry-run'], None
    return Case('checkpoint data', number, make, import_checkpoint.main)


def checkpoint_list(number):
    def make(folder, rng):
        text = (b'model_checkpoint_path: "/elsewhere/input"\n'
                b'all_model_checkpoint_paths: "/elsewhere/input"\n')
        path = Path(folder, 'checkpoint')
        if number % 5 == 0:
            mutations.pick([os.mkfifo, os.mkdir, lambda one: os.symlink('/dev/zero', one)],
                           rng)(str(path))
        else:
            path.write_bytes(mutations.pick(mutations.BYTES, rng)(text, rng))
        shutil.copy(INDEX, folder + '/input.index')
        shutil.copy(DATA, folder + '/input.data-00000-of-00001')
        return [folder], None
    return Case('checkpoint list', number, make, reading(checkpoint.find_checkpoint),
                names=('checkpoint',))


def record(number):
    loader, name = ((load_settings, SETTINGS_FILE), (load_model, MODEL_FILE))[number % 2]

    def make(folder, rng):
        values = dataclasses.asdict(Settings()) if number % 2 == 0 else json.loads(
            Path(PREFIX).with_name(MODEL_FILE).read_text())
        path = Path(folder, name)
        if number % 7 == 0:
            data = json.dumps(values).encode()
            path.write_bytes(mutations.pick(mutations.BYTES, rng)(data, rng))
        elif number % 11 == 0:
            path.write_text(mutations.pick(['[', '{"a":', '"', '{"seed": 1'], rng) * 10 ** int(
                rng.randint(1, 6)))
        else:
            path.write_text(json.dumps(mutations.change_json(values, rng)))
        return [folder], None
    return Case('record', number, make, reading(loader), names=(name,))


def batch(rng, protocol=2):
    return pickle.dumps({b'data': rng.randint(0, 256, (3, 3072)).astype(np.uint8),
                         b'labels': [0, 1, 9], b'filenames': [b'a', b'b', b'c']}, protocol)


OPCODES = [b'(', b')', b']', b'}', b't', b'\x85', b'\x87', b'a', b'e', b's', b'u', b'0', b'1', b'R',
           b'b', b'N', b'K\x01', b'q\x00', b'h\x00', b'r\xff\xff\xff\x7f', b'\x94', b'X\x01\0\0\0a',
           b'c_codecs\nencode\n', b'cnumpy\ndtype\n', b'cos\nsystem\n', b'\x95' + bytes(8), b'\x93',
           b'\x8a\xff' + b'\x7f' * 255, b'T\xff\xff\xff\x7f', b'.', b'2', b'\x81', b'I9\n']


def pickled(number):
    def make(folder, rng):
        if number % 2:
            content = mutations.pick(mutations.BYTES, rng)(batch(rng, number % 5), rng)
        else:
            parts = [OPCODES[i] for i in rng.randint(len(OPCODES), size=rng.randint(1, 60))]
            content = b'\x80\x04' + b''.join(
                part * int(rng.choice([1, 1, 1, 3, 10 ** 5])) for part in parts)
        Path(folder, 'input').write_bytes(content)
        return [folder + '/input'], None
    return Case('pickle', number, make, reading(
        lambda path: load_pickle(Path(path).read_bytes(), path)))


def archive(number):
    def make(folder, rng):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode='w') as tar:
            names = ['data_batch_%d' % i for i in range(1, 6)] + ['test_batch', 'batches.meta']
            for name in names:
                content = batch(rng) if name != 'batches.meta' else pickle.dumps(
                    {b'label_names': [b'l%d' % i for i in range(10)]}, 2)
                if number % 3 == 0 and rng.rand() < 0.3:
                    content = mutations.pick(mutations.BYTES, rng)(content, rng)
                member = tarfile.TarInfo('cifar-10-batches-py/' + name)
                member.size = len(content)
                if number % 3 == 1 and rng.rand() < 0.3:
                    member.name = mutations.pick(['../x', '/etc/x', 'a\x1b[31m', 'x' * 500], rng)
                    member.type = mutations.pick(list(tarfile.SUPPORTED_TYPES), rng)
                    member.linkname = '/etc/passwd'
                tar.addfile(member, io.BytesIO(content))
        data = stream.getvalue()
        if number % 3 == 2:
            data = mutations.pick(mutations.BYTES, rng)(data, rng)
        data = gzip.compress(data)
        if number % 5 == 0:
            data = mutations.pick(mutations.BYTES, rng)(data, rng)
        Path(folder, 'input.tar.gz').write_bytes(data)
        return [folder + '/input.tar.gz'], None
    return Case('archive', number, make, reading(
        lambda path: load_dataset('cifar10', path, validation_share=0)))


def text(number):
    reader = (read_labels, read_rules)[number % 2]

    def make(folder, rng):
        path = Path(folder, 'input')
        base = 'cat\ndog\nüber\n' if number % 2 == 0 else 'rename a b\nregex (.*)x \\1\ndrop c.*\n'
        if number % 6 < 2:
            mutations.pick([os.mkfifo, os.mkdir, lambda one: os.symlink('/dev/urandom', one),
                            lambda one: os.truncate(open(one, 'wb').name, 2 ** 40)],
                           rng)(str(path))
        else:
            path.write_bytes(mutations.pick(mutations.BYTES, rng)(base.encode(), rng))
        return [str(path)], None
    return Case('text', number, make, reading(reader))


def label_folder(number):
    def make(folder, rng):
        tree = Path(folder, 'input')
        jpeg, png = (cv2.imencode(kind, rng.randint(0, 256, (40, 50, 3)))[1].tobytes()
                     for kind in ('.jpg', '.png'))
        for label in ('a', 'b'):
            (tree / label).mkdir(parents=True)
            for i in range(rng.randint(1, 4)):
                (tree / label / str(i)).write_bytes(mutations.pick([jpeg, png], rng))
        target = tree / label / '0'
        mutations.pick([
            lambda: target.write_bytes(jpeg[:len(jpeg) // 2] + b'\xff\xd9'),
            lambda: target.write_bytes(mutations.cut(png, rng)),
            lambda: target.write_bytes(b'RIFF'), lambda: (tree / label / 'x').mkdir(),
            lambda: os.mkfifo(str(tree / label / 'x')), lambda: (tree / 'x').write_bytes(png),
            lambda: os.symlink('/dev/zero', str(tree / label / 'x')),
            lambda: (tree / 'c\x1b[31m').mkdir(), lambda: (tree / 'c').mkdir()], rng)()
        return [str(tree)], None
    return Case('label folder', number, make, reading(
        lambda path: [read_image(image) for image, _ in find_labelled_images(
            path, ('a', 'b', 'c'))]), lambda out, about: False)


def replaced(number):
    """A folder in which something is of others: it must not be one that may be replaced."""
    def make(folder, rng):
        out = Path(folder, 'input')
        for name in ('x/7/1.png', 'x/2.png', 'model.onnx'):
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_text(name)
        mark(str(out))
        home = mutations.pick(['', 'x', 'x/7'], rng)
        mutations.pick([
            lambda: (out / home / 'notes.txt').write_text('mine'),
            lambda: (out / home / 'notes').mkdir(), lambda: (out / 'x/2.png').write_text('mine'),
            lambda: os.mkfifo(str(out / home / 'pipe')),
            lambda: os.symlink('/', str(out / home / 'link')),
            lambda: (out / '.ash_tf1.json').write_bytes(rng.bytes(50)),
            lambda: (out / '.ash_tf1.json').unlink()], rng)()
        return [str(out)], None
    return Case('folder of others', number, make, reading(
        lambda path: check_replaceable(path, True)), lambda out, about: False)


MAKERS = ((checkpoint_index, 300), (old_checkpoint, 240), (checkpoint_data, 100),
          (checkpoint_list, 100), (record, 400), (pickled, 300), (archive, 200), (text, 150),
          (label_folder, 150), (replaced, 100), (log, 120), *graph_cases.MAKERS,
          *argument_cases.MAKERS)


def cases():
    """All of them, kind by kind."""
    return [make(number) for make, count in MAKERS for number in range(count)]
