"""What clients get is what onnxruntime answers, bit by bit, over every way there is."""

import json
import struct

import artifacts
import cv2
import numpy as np
import onnxruntime
import pytest
import tritonclient.grpc as grpcclient
import tritonclient.http as httpclient
from tritonclient.utils import InferenceServerException

import ash_onnx

RESNET = 'resnet20-cifar10-ash'


@pytest.fixture(scope='module')
def session(folders):
    """What the endpoint runs: one thread, and the form of ASH that can be had here."""
    return ash_onnx.load_model(folders['resnet'], threads=1)


@pytest.fixture(params=['http', 'grpc'])
def client(request, endpoint):
    module, port = ((httpclient, endpoint.http) if request.param == 'http'
                    else (grpcclient, endpoint.grpc))
    made = module.InferenceServerClient(f'127.0.0.1:{port}')
    made.module = module
    yield made
    made.close()


def images(count, seed=0):
    return np.random.RandomState(seed).randint(0, 256, [count, 32, 32, 3]).astype(np.uint8)


def ask(client, model, arrays, outputs=None, version=''):
    inputs = []
    for name, (datatype, array) in arrays.items():
        inputs.append(client.module.InferInput(name, list(array.shape), datatype))
        inputs[-1].set_data_from_numpy(array)
    return client.infer(model, inputs, version, outputs)


def files(*data):
    array = np.empty([len(data), 1], object)
    array[:, 0] = data
    return array


@pytest.mark.parametrize('batch', [1, 2, 32])
def test_binary_answers_are_those_of_onnxruntime(client, session, batch):
    pixels = images(batch)
    result = ask(client, RESNET, {'images': ('UINT8', pixels)})
    for name, expected in zip(('logits', 'probabilities'), session.run(pixels), strict=True):
        np.testing.assert_array_equal(result.as_numpy(name), expected)


def test_a_portable_endpoint_answers_as_the_portable_file(folders):
    """Without this project's code between: the file itself in a session of onnxruntime."""
    from endpoint import Endpoint
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(folders['resnet'] / 'model.onnx', options,
                                           providers=['CPUExecutionProvider'])
    pixels = images(32, seed=3)
    with Endpoint(folders['resnet'], options=['--fused', 'no']) as endpoint:
        with httpclient.InferenceServerClient(f'127.0.0.1:{endpoint.http}') as client:
            client.module = httpclient
            result = ask(client, RESNET, {'images': ('UINT8', pixels)})
    expected, = session.run(['logits'], {'images': pixels})
    np.testing.assert_array_equal(result.as_numpy('logits'), expected)


@pytest.mark.parametrize('flat', [True, False])
@pytest.mark.parametrize('batch', [1, 32])
def test_json_answers_are_those_of_onnxruntime(endpoint, session, batch, flat):
    pixels = images(batch, seed=1)
    data = (pixels.ravel() if flat else pixels).tolist()
    status, _, answer = endpoint.infer(RESNET, {'inputs': [
        {'name': 'images', 'datatype': 'UINT8', 'shape': list(pixels.shape), 'data': data}]})
    assert status == 200 and 'id' not in answer
    for output, expected in zip(answer['outputs'], session.run(pixels), strict=True):
        found = np.array(output['data'], np.float32).reshape(output['shape'])
        np.testing.assert_array_equal(found, expected)


def test_json_with_line_breaks_and_short_numbers(endpoint, session):
    """orjson 3.13 failed to take memory for it."""
    body = ('{\n    "inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 32, 32, 3], '
            '"data": [' + ','.join(['0'] * 3072) + ']}]}')
    status, _, answer = endpoint.infer(RESNET, body.encode())
    assert status == 200, answer
    expected = session.run(np.zeros([1, 32, 32, 3], np.uint8))[0]
    np.testing.assert_array_equal(np.array(answer['outputs'][0]['data'], 'f4'), expected[0])


def test_typed_contents_of_grpc_are_read(endpoint, session):
    from grpc import insecure_channel
    from tritonclient.grpc import service_pb2, service_pb2_grpc
    pixels = images(2, seed=2)
    request = service_pb2.ModelInferRequest(model_name=RESNET, id='seven')
    tensor = request.inputs.add(name='images', datatype='UINT8', shape=pixels.shape)
    tensor.contents.uint_contents.extend(pixels.ravel().tolist())
    with insecure_channel(f'127.0.0.1:{endpoint.grpc}') as channel:
        answer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)
    assert (answer.id, answer.model_name, answer.model_version) == ('seven', RESNET, '1')
    np.testing.assert_array_equal(np.frombuffer(answer.raw_output_contents[0], np.float32),
                                  session.run(pixels)[0].ravel())


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_image_files_are_classified_as_predict_does(client, session, folders, tmp_path, suffix):
    """Photos of another size than the model's, so that they have to be fitted."""
    random = np.random.RandomState(4)
    paths = [tmp_path / f'{number}{suffix}' for number in range(3)]
    for path in paths:
        size = random.randint(40, 200, 2)
        small = random.randint(0, 256, [8, 8, 3]).astype(np.uint8)
        assert cv2.imwrite(str(path), cv2.resize(small, [int(side) for side in size]))
    data = files(*(path.read_bytes() for path in paths))
    output = client.module.InferRequestedOutput('probabilities', class_count=3)
    found = ask(client, RESNET + '_image', {'image': ('BYTES', data)}, [output])
    for row, expected in zip(found.as_numpy('probabilities'),
                             ash_onnx.predict(session, paths, top=3), strict=True):
        split = [item.decode().split(':') for item in row]
        assert [label for _, _, label in split] == [label for label, _ in expected.top]
        assert [score for score, _, _ in split] == [f'{score:f}' for _, score in expected.top]
        assert [session.labels[int(index)] for _, index, _ in split] == [
            label for label, _ in expected.top]
    whole = ask(client, RESNET + '_image', {'image': ('BYTES', data)})
    pixels = np.stack([ash_onnx.read_image(path, session.input_shape, session.preprocessing)
                       for path in paths])
    np.testing.assert_array_equal(whole.as_numpy('logits'), session.run(pixels)[0])


def test_a_file_alone_is_a_request(endpoint, session, tmp_path):
    """What `curl --data-binary @photo.jpg` sends with the header that says there is no JSON."""
    path = tmp_path / 'photo.png'
    assert cv2.imwrite(str(path), images(1)[0])
    status, _, answer = endpoint.infer(RESNET + '_image', path.read_bytes(),
                                       {'Inference-Header-Content-Length': '0'})
    assert status == 200
    expected = session.run(ash_onnx.read_image(path, (32, 32, 3))[None])[1][0]
    np.testing.assert_array_equal(np.array(answer['outputs'][1]['data'], np.float32), expected)


def test_pixels_alone_are_a_request(endpoint, session):
    status, _, answer = endpoint.infer(RESNET, images(1).tobytes(),
                                       {'Inference-Header-Content-Length': '0'})
    assert status == 200
    np.testing.assert_array_equal(np.array(answer['outputs'][0]['data'], np.float32),
                                  session.run(images(1))[0][0])


GRAPH = {'text': ('BYTES', files('a', 'ü').reshape(1, 2)),
         'flag': ('BOOL', np.array([[True, False]])),
         'half': ('FP16', np.array([[1, 0.5]], 'f2')), 'real': ('FP32', np.array([[1, .1]], 'f4')),
         'small': ('INT8', np.array([[-128, 127]], 'i1')),
         'long': ('INT64', np.array([[-2**63, 2**63 - 1]])),
         'unsigned': ('UINT64', np.array([[0, 2**64 - 1]], 'u8')),
         'double': ('FP64', np.array([[1e-300, .1]]))}


def test_every_dtype_goes_in_and_comes_out(client):
    result = ask(client, 'graph', GRAPH)
    for name, (_, array) in GRAPH.items():
        found = result.as_numpy(f'{name}_out')
        if name == 'text':
            found = np.array([[item.decode() for item in row] for row in found], object)
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


def test_json_and_binary_in_one_request(endpoint):
    half = GRAPH['half'][1].tobytes()
    inputs = [{'name': name, 'datatype': datatype, 'shape': [1, 2], 'data': array.tolist()}
              for name, (datatype, array) in GRAPH.items() if name != 'half']
    inputs.append({'name': 'half', 'datatype': 'FP16', 'shape': [1, 2],
                   'parameters': {'binary_data_size': len(half)}})
    header = json.dumps({'inputs': inputs, 'id': 'x', 'outputs': [
        {'name': 'half_out', 'parameters': {'binary_data': True}}, {'name': 'unsigned_out'},
        {'name': 'text_out'}]}).encode()
    status, headers, body = endpoint.request('POST', '/v2/models/graph/infer', header + half, {
        'Inference-Header-Content-Length': str(len(header))})
    assert status == 200
    length = int(headers['Inference-Header-Content-Length'])
    answer = json.loads(body[:length])
    assert answer['id'] == 'x' and body[length:] == half
    assert {output['name']: output.get('data') for output in answer['outputs']} == {
        'text_out': ['a', 'ü'], 'half_out': None, 'unsigned_out': [0, 2**64 - 1]}


def test_a_keras_model_with_two_inputs(client):
    a, b = np.array([[1, 2], [3, 4]], 'f4'), np.array([[.5, .5], [1, 1]], 'f4')
    result = ask(client, 'keras', {'b': ('FP32', b), 'a': ('FP32', a)})
    np.testing.assert_array_equal(result.as_numpy('sum'), a + b)


def test_a_generator_s_images_are_png_files_too(client):
    z = np.array([[1, 0], [2.5, 7]], 'f4')
    pixels = ask(client, 'generator', {'z': ('FP32', z)}).as_numpy('images')
    assert pixels.shape == (2, 4, 5, 3) and set(pixels[0].flat) == {100}
    found = ask(client, 'generator_image', {'z': ('FP32', z)}).as_numpy('image')
    assert found.shape == (2, 1)
    for data, image in zip(found[:, 0], pixels, strict=True):
        np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), -1), image)


def test_the_best_labels_of_a_batch(client):
    pixels = np.zeros([2, artifacts.HEIGHT, artifacts.WIDTH, 3], np.uint8)
    pixels[0, ..., 2], pixels[1, ..., 0] = 64, 32
    output = client.module.InferRequestedOutput('logits', class_count=2)
    found = ask(client, 'colours', {'images': ('UINT8', pixels)}, [output]).as_numpy('logits')
    assert found.tolist() == [[b'2.000000:2:blue', b'0.000000:0:red'],
                              [b'1.000000:0:red', b'0.000000:1:green']]


def test_a_version_may_be_named(client):
    pixels = np.zeros([1, artifacts.HEIGHT, artifacts.WIDTH, 3], np.uint8)
    assert ask(client, 'colours', {'images': ('UINT8', pixels)}, version='7').as_numpy(
        'logits').shape == (1, 3)
    for call in (client.get_model_metadata, client.is_model_ready):
        assert call('colours', '7')
    with pytest.raises(InferenceServerException, match="no version '8' of colours, but 7"):
        ask(client, 'colours', {'images': ('UINT8', pixels)}, version='8')


def test_what_the_server_says_of_itself(client):
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(RESNET)
    server, model = client.get_server_metadata(), client.get_model_metadata(RESNET)
    if client.module is grpcclient:
        assert server.version.endswith('(c0ffee)') and list(model.versions) == ['1']
        assert list(model.inputs[0].shape) == [-1, 32, 32, 3]
    else:
        assert server['version'].endswith('(c0ffee)') and model['versions'] == ['1']
        assert model['inputs'] == [{'name': 'images', 'datatype': 'UINT8',
                                    'shape': [-1, 32, 32, 3]}]


def test_binary_texts_may_be_bytes_of_any_kind(endpoint):
    """A file that is no image is refused by the model, not by the reading of the request."""
    body = struct.pack('<I', 3) + b'\xff\x00a'
    header = json.dumps({'inputs': [{'name': 'image', 'datatype': 'BYTES', 'shape': [1, 1],
                                     'parameters': {'binary_data_size': len(body)}}]}).encode()
    status, _, answer = endpoint.infer(RESNET + '_image', header + body, {
        'Inference-Header-Content-Length': str(len(header))})
    assert (status, answer) == (400, {'error': 'image 0: neither a JPEG nor a PNG image'})


def test_metrics_count_requests_batches_and_what_waits(endpoint, client):
    pixels = np.zeros([5, artifacts.HEIGHT, artifacts.WIDTH, 3], np.uint8)
    ask(client, 'colours', {'images': ('UINT8', pixels)})
    text = endpoint.get('/metrics')[2].decode()
    protocol, code = ('grpc', 'OK') if client.module is grpcclient else ('http', '200')
    assert f'ash_requests_total{{code="{code}",model="colours",protocol="{protocol}"}}' in text
    assert f'ash_request_seconds_count{{model="colours",protocol="{protocol}"}}' in text
    assert 'ash_batch_size_bucket{le="8.0",model="colours"}' in text
    assert 'ash_requests_waiting 0.0' in text and 'ash_requests_running 0.0' in text
    assert 'request_predict_seconds_count{model_name="colours"}' in text
