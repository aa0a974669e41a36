"""Hostile inputs of the modern side: artifacts, test data, images, folders of labels, arguments."""
import json
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import onnx

from tests.hostile import mutations
from tests.hostile.judging import Case, in_child
from tests.serve import miniature as mini
from tests.serve import miniature_generator
from tools import evaluate_onnx, generate, predict, verify_onnx

COUNTS = {'image': 700, 'model bytes': 300, 'model graph': 300, 'metadata': 250, 'test data': 200,
          'label folder': 200, 'arguments': 200, 'generator': 140}
JPEG_KINDS = ([], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 4])


def write_artifact(folder, model=None):
    os.makedirs(folder)
    onnx.save(model or mini.build_model(), os.path.join(folder, 'model.onnx'))
    images = np.random.RandomState(0).randint(0, 256, [2, 6, 8, 3]).astype(np.uint8)
    mini.write_test_data(Path(folder) / 'test_data_set_0', images,
                         *(output.astype(np.float32) for output in mini.oracle(images)))
    return folder


def photo(rng, flags):
    small = rng.randint(0, 256, (30, 40, 3)).astype(np.uint8)
    return cv2.imencode('.jpg', cv2.resize(small, (160, 120), interpolation=cv2.INTER_CUBIC),
                        flags)[1].tobytes()


def scan_start(data):
    position = 2
    while data[position + 1] != 0xDA:
        position += 2 + struct.unpack_from('>H', data, position + 2)[0]
    return position + 2 + struct.unpack_from('>H', data, position + 2)[0]


def _cut_and_ended(data, rng):
    start = scan_start(data)
    return data[:rng.randint(start, len(data) - 200)] + b'\xff\xd9', True


def _zeroed(data, rng):
    length = int(rng.choice([64, 512, 2048]))
    at = rng.randint(scan_start(data), len(data) - length - 64)
    # 64 zeros in a progressive file may fall where they are data: 4 of 100 files.
    refused = None if b'\xff\xc2' in data[:800] and length == 64 else True
    return data[:at] + bytes(length) + data[at + length:], refused


def _trailing(data, rng):
    return data + rng.bytes(rng.randint(1, 999)), False


def _stray(data, rng):
    return data[:-2] + rng.bytes(rng.randint(1, 99)).replace(b'\xff', b'x') + data[-2:], False


def _cut(data, rng):
    return mutations.cut(data, rng), True


def _png(change, refused):
    def make(data, rng):
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        return change(cv2.imencode('.png', pixels)[1].tobytes(), rng), refused
    return make


def _png_claims(data, rng):
    size = struct.pack('>II', *(int(rng.choice([0, 2 ** 14, 2 ** 31 - 1])) for _ in range(2)))
    header = b'IHDR' + size + data[24:29]
    return data[:12] + header + struct.pack('>I', zlib.crc32(header)) + data[33:]


def _png_idat_cut(data, rng):
    body = data[41:-16]
    kept = body[:rng.randint(1, max(2, len(body) // 2))]
    chunk = b'IDAT' + kept
    return data[:33] + struct.pack('>I', len(kept)) + chunk + struct.pack(
        '>I', zlib.crc32(chunk)) + data[-12:]


IMAGES = (_cut_and_ended, _zeroed, _trailing, _stray, _cut, _png(mutations.flip, True),
          _png(mutations.cut, True), _png(mutations.zero, None), _png(_png_claims, True),
          _png(_png_idat_cut, True), _png(mutations.insert, None),
          _png(lambda data, rng: data + rng.bytes(99), False),
          lambda data, rng: (mutations.flip(data, rng), None),
          lambda data, rng: (mutations.insert(data, rng), None))


def image(number):
    def make(folder, rng):
        data = photo(rng, JPEG_KINDS[number % 3])
        changed, refused = IMAGES[number % len(IMAGES)](data, rng)
        lossless = not changed.startswith(b'\xff\xd8')
        for name, content in (('input.jpg', changed), ('whole.jpg', data)):
            (Path(folder) / name).write_bytes(content)
        return ([write_artifact(folder + '/artifact'), folder + '/input.jpg', '--json'],
                (refused, lossless, folder + '/whole.jpg'))

    def right(out, about):
        refused, lossless, whole = about
        if refused:
            return False
        if refused is None:  # damage after which a whole picture can be decoded stays unseen
            return True
        # In a child too: this process must have no threads of onnxruntime, which no fork copies.
        home = os.path.dirname(whole)
        _, said, _ = in_child(lambda: predict.main([home + '/artifact', whole, '--json']), home)
        found, expected = (json.loads(text)['predictions'][0]['top'] for text in (out, said))
        return found == expected
    return Case('image', number, make, predict.main, right, ('input.jpg',))


def model_bytes(number):
    def make(folder, rng):
        path = write_artifact(folder + '/input')
        change = mutations.BYTES[number % len(mutations.BYTES)]
        file = Path(path) / 'model.onnx'
        file.write_bytes(change(file.read_bytes(), rng))
        return [path, '--time-limit', '5'], None
    return Case('model bytes', number, make, verify_onnx.main)


OPS = ('Nonsense', 'Loop', 'If', 'Identity', 'Cast', 'Expand', 'ConstantOfShape', 'Reshape',
       'MatMul', 'Tile', 'Softmax', 'Range', '')
NUMBERS = (-2 ** 63, -1, 0, 1, 2 ** 31, 2 ** 40, 2 ** 63 - 1)


def _change_graph(model, rng):
    graph, way = model.graph, rng.randint(9)
    node = mutations.pick(graph.node, rng)
    if way == 0:
        node.op_type = mutations.pick(OPS, rng)
    elif way == 1:
        node.input[rng.randint(len(node.input))] = mutations.pick(
            ['', 'nowhere', node.output[0], 'images', '\x1b[31m'], rng)
    elif way == 2:
        graph.node.remove(node)
    elif way == 3:
        graph.node.add().CopyFrom(node)
    elif way == 4 and node.attribute:
        attribute = mutations.pick(node.attribute, rng)
        attribute.i = mutations.pick(NUMBERS, rng)
        attribute.ints.extend([mutations.pick(NUMBERS, rng)])
    elif way == 5:
        tensor = mutations.pick(graph.initializer, rng)
        tensor.dims[rng.randint(len(tensor.dims))] = mutations.pick(NUMBERS, rng)
    elif way == 6:
        tensor = mutations.pick(graph.initializer, rng)
        tensor.data_type = int(rng.randint(0, 25))
    elif way == 7:
        value = mutations.pick([*graph.input, *graph.output], rng)
        dims = value.type.tensor_type.shape.dim
        dims[rng.randint(len(dims))].dim_value = mutations.pick(NUMBERS, rng)
    else:
        sizes = [int(rng.choice([2 ** 10, 2 ** 16, 2 ** 20])) for _ in range(3)]
        graph.initializer.append(onnx.numpy_helper.from_array(np.array(sizes), 'sizes'))
        graph.node.insert(0, onnx.helper.make_node('ConstantOfShape', ['sizes'], ['huge']))
        graph.node.insert(1, onnx.helper.make_node('ReduceMax', ['huge'], ['most'], keepdims=0))
        gemm = next(one for one in graph.node if one.op_type == 'Gemm')
        gemm.input[2] = 'most'
    return model


def model_graph(number):
    def make(folder, rng):
        model = mini.build_model()
        for _ in range(rng.randint(1, 3)):
            model = _change_graph(model, rng)
        return [write_artifact(folder + '/input', model), '--time-limit', '5'], None
    return Case('model graph', number, make, verify_onnx.main)


def metadata(number):
    def make(folder, rng):
        values = {key: json.loads(text) if text[:1] in '[{' else text
                  for key, text in mini.METADATA.items()}
        values.update(preprocessing={'resize': 'cover', 'crop': 0.5, 'mean': [1, 2, 3]},
                      tolerance={'relative': 1e-4}, kind='image_classifier')
        changed = mutations.change_json(values, rng)
        key = mutations.pick(sorted(changed), rng)
        if isinstance(changed[key], dict) and changed[key]:
            changed[key] = mutations.change_json(changed[key], rng)
        texts = {name: value if isinstance(value, str) else json.dumps(value)
                 for name, value in changed.items()}
        if number % 10 == 0:
            texts['labels'] = '[' * 10 ** int(rng.randint(2, 6))
        texts = {name.encode('utf-8', 'replace').decode(): text.encode('utf-8', 'replace').decode()
                 for name, text in texts.items()}
        model = mini.build_model(metadata=texts)
        return [write_artifact(folder + '/input', model)], None
    return Case('metadata', number, make, verify_onnx.main)


def test_data(number):
    def make(folder, rng):
        path = Path(write_artifact(folder + '/input'))
        file = path / 'test_data_set_0' / mutations.pick(
            ['input_0.pb', 'output_0.pb', 'output_1.pb'], rng)
        if number % 8 == 0:
            file.unlink()
            mutations.pick([os.mkfifo, os.mkdir, lambda one: os.symlink('/dev/zero', one)],
                           rng)(str(file))
        elif number % 8 == 1:
            mutations.pick([os.mkfifo, lambda one: os.symlink('/dev/zero', one), lambda one: Path(
                one).write_bytes(rng.bytes(99))], rng)(str(path / 'labels.txt'))
        else:
            file.write_bytes(mutations.pick(mutations.BYTES, rng)(file.read_bytes(), rng))
        return [str(path)], None
    return Case('test data', number, make, verify_onnx.main)


def label_folder(number):
    def make(folder, rng):
        tree, images, others, wrong = Path(folder) / 'input', 0, 0, number % 4 == 0
        png = cv2.imencode('.png', np.zeros([6, 8, 3], np.uint8))[1].tobytes()
        for label in mini.LABELS[:rng.randint(1, 4)]:
            (tree / label).mkdir(parents=True)
            for i in range(rng.randint(1, 5)):
                name = mutations.pick(['{}.png', '{}.jfif', '{}', '{}.webp', '{}\x1b[31m.png',
                                       '{}.txt', '{}☃.tif'], rng).format(i)
                (tree / label / name).write_bytes(png)
                images += 1
            for i in range(rng.randint(0, 3)):
                (tree / label / f'other{i}.webp').write_bytes(rng.bytes(30))
                others += 1
        if wrong:
            mutations.pick([
                lambda: (tree / 'violet').mkdir(), lambda: (tree / label / 'nested').mkdir(),
                lambda: (tree / label / 'x.png').write_bytes(png[:-9]),
                lambda: os.mkfifo(tree / label / 'x.png'),
                lambda: os.symlink('/dev/zero', tree / label / 'x.jpg'),
                lambda: (tree / 'a\x1b[31m').mkdir()], rng)()
        return ([write_artifact(folder + '/artifact'), str(tree), '--json', '--quiet'],
                None if wrong else (images, others))
    return Case('label folder', number, make, evaluate_onnx.main,
                lambda out, about: about and about == (
                    json.loads(out)['n'], len(json.loads(out)['others'])))


ARGUMENTS = (['--threads', '100000'], ['--threads', '0'], ['--threads', '-1'], ['--top', '0'],
             ['--top', '99999999999'], ['--time-limit', '0'], ['--time-limit', 'nan'],
             ['--time-limit', '-5'], ['--memory-limit', '0'], ['--memory-limit', 'inf'],
             ['--memory-limit', '1e-9'], ['--provider', 'cuda'], ['--provider', 'x'], ['--nope'],
             ['--save', 'precious.txt'], ['--save', '/nowhere/a.png'], ['--save', '{}/input.png'],
             ['--save', '{}/input.png', '--overwrite'], [''], ['\x1b[31m'], ['{}/pipe'],
             ['/dev/zero'], ['{}'], ['nowhere\udcff.png'], ['--json'], ['--threads', '1'])


def arguments(number):
    def make(folder, rng):
        cv2.imwrite(folder + '/input.png', np.zeros([6, 8, 3], np.uint8))
        os.mkfifo(folder + '/pipe')
        argv = [write_artifact(folder + '/artifact'), folder + '/input.png']
        for _ in range(rng.randint(1, 4)):
            argv += [word.replace('{}', folder) for word in mutations.pick(ARGUMENTS, rng)]
        return argv, None
    return Case('arguments', number, make, predict.main, names=('',))


GENERATOR_ARGUMENTS = (
    ['--seed', '-1'], ['--seed', str(2 ** 40)], ['--seed', '3'], ['--seed', 'x'], ['--count', '0'],
    ['--count', '7'], ['--count', str(10 ** 30)], ['--grid', '2x3'], ['--grid', '0x1'],
    ['--grid', '99999x99999'], ['--grid', '\x1b[31m'], ['--walk', '0', '1'], ['--walk', '0', '-5'],
    ['--walk', '1', '1', '--steps', str(10 ** 12)], ['--steps', '1'], ['--batch-size', '0'],
    ['--batch-size', str(10 ** 30)], ['--separate', '{}/artifact'], ['--separate', 'each'],
    ['--separate', 'precious.txt'], ['--separate', ''], ['--separate', '{}/no/each'],
    ['--time-limit', 'nan'], ['--overwrite'], ['--json'], ['--nope'])


def generator(number):
    """Metadata of a generator, and arguments of the command that takes it."""
    def make(folder, rng):
        latent = mutations.pick([miniature_generator.UNIFORM, miniature_generator.NORMAL], rng)
        argv = [folder + '/input', mutations.pick(['out.png', 'out.png', 'precious.txt', ''], rng)]
        if number % 2:
            latent = mutations.change_json(latent, rng)
            argv[1] = 'out.png'
        else:
            for _ in range(rng.randint(1, 3)):
                argv += [word.replace('{}', folder)
                         for word in mutations.pick(GENERATOR_ARGUMENTS, rng)]
        text = json.dumps(latent).encode('utf-8', 'replace').decode()
        miniature_generator.write_artifact(Path(folder) / 'input', latent=text)
        return argv + ['--quiet'], folder

    def right(out, folder):
        picture = cv2.imread(folder + '/out.png')
        return picture is not None and picture.size > 0
    return Case('generator', number, make, generate.main, right, ('',), ('out.png', 'each'))


def cases():
    """All of them, kind by kind in turn."""
    makers = {'image': image, 'model bytes': model_bytes, 'model graph': model_graph,
              'metadata': metadata, 'test data': test_data, 'label folder': label_folder,
              'arguments': arguments, 'generator': generator}
    return [makers[kind](number) for kind in COUNTS for number in range(COUNTS[kind])]
