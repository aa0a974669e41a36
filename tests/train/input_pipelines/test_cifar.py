"""Good files: every layout, from every place, gives the same arrays."""
import hashlib
import shutil
import warnings

import numpy as np
import pytest

from ash_tf1.input_pipelines import cifar, load_dataset
from tests.train.input_pipelines.cifar_files import ARCHIVES

pytestmark = pytest.mark.fast

DATASETS = ['cifar10', 'cifar100']
KINDS = ['python', 'binary']
SPECS = {'cifar10': cifar.CIFAR10, 'cifar100': cifar.CIFAR100}


def assert_same_split(actual, expected):
    images = np.stack([example['image'] for example in actual])
    np.testing.assert_array_equal(images, expected.arrays['image'])
    np.testing.assert_array_equal(actual.labels, expected.labels)
    assert images.dtype == np.uint8 and actual.labels.dtype == np.int64


def load_whole(name, path):
    """With nothing held out: train as the publisher gives it."""
    return load_dataset(name, path, validation_share=0)


def files_below(folder):
    return sorted(str(path) for path in folder.rglob('*'))


@pytest.mark.parametrize('place', ['folder', 'parent', 'archive'])
@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('name', DATASETS)
def test_every_layout_and_place_gives_the_same(cifar_files, name, kind, place):
    path = cifar_files.place(name, kind, place)
    before = files_below(cifar_files.root)
    dataset = load_whole(name, path)
    train, test = cifar_files.expected(name)
    assert_same_split(dataset.train, train)
    assert_same_split(dataset.test, test)
    assert dataset.name == name
    assert dataset.labels == tuple(cifar_files.class_names(name))
    assert files_below(cifar_files.root) == before  # nothing was extracted
    assert_same_split(load_whole(name, str(path)).train, train)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('name', DATASETS)
def test_planes_are_red_green_blue_and_row_by_row(cifar_files, name, kind):
    folder = cifar_files.write(name, kind)
    # Byte by byte, as the publisher describes a record.
    planes = bytearray()
    for offset in (0, 100, 200):
        for row in range(32):
            for column in range(32):
                planes.append(offset + (row if offset != 100 else column))
    if kind == 'binary':
        label = bytes([7]) if name == 'cifar10' else bytes([19, 7])  # coarse before fine
        file = folder / ('test_batch.bin' if name == 'cifar10' else 'test.bin')
        file.write_bytes(label + planes)
    else:
        labels = {'labels': [7]} if name == 'cifar10' else {'coarse_labels': [19],
                                                           'fine_labels': [7]}
        pixels = np.frombuffer(bytes(planes), np.uint8).reshape(1, 3072)
        cifar_files.write_pickle(folder / ('test_batch' if name == 'cifar10' else 'test'),
                                 dict(labels, data=pixels))
    example, = load_whole(name, folder).test
    rows, columns = np.mgrid[:32, :32]
    np.testing.assert_array_equal(example['image'],
                                  np.stack([rows, 100 + columns, 200 + rows], -1))
    assert example['label'] == 7


@pytest.mark.parametrize('kind', KINDS)
def test_folder_may_be_renamed(cifar_files, kind):
    folder = cifar_files.write('cifar10', kind)
    renamed = folder.parent / 'elsewhere'
    folder.rename(renamed)
    assert_same_split(load_whole('cifar10', renamed).test, cifar_files.expected('cifar10')[1])


@pytest.mark.parametrize('incomplete, complete', [KINDS, KINDS[::-1]])
def test_a_complete_layout_goes_before_an_incomplete_one(cifar_files, incomplete, complete):
    folder = cifar_files.write('cifar10', incomplete)
    next(folder.glob('data_batch_3*')).unlink()
    cifar_files.write('cifar10', complete)
    assert_same_split(load_whole('cifar10', cifar_files.root).train,
                      cifar_files.expected('cifar10')[0])


def test_meta_in_the_text_protocol_of_python_2(cifar_files):
    folder = cifar_files.write('cifar10', 'python')
    items = ''.join(f"S'bird {i}'\np{4 + i}\na" for i in range(10))
    (folder / 'batches.meta').write_text(
        "(dp1\nS'num_cases_per_batch'\np2\nI10000\nsS'label_names'\np3\n(lp4\n" + items + 's.')
    assert load_whole('cifar10', folder).labels == tuple(f'bird {i}' for i in range(10))


def test_archive_packed_with_leading_dots(cifar_files):
    folder = cifar_files.write('cifar10', 'binary')
    cifar_files.root = cifar_files.root / 'packed'
    cifar_files.root.mkdir()
    path = shutil.make_archive(str(cifar_files.root / 'dots'), 'gztar', str(folder.parent),
                               './' + folder.name)
    assert_same_split(load_whole('cifar10', path).test, cifar_files.expected('cifar10')[1])


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('name', DATASETS)
def test_official_name_with_another_checksum_warns_once(cifar_files, name, kind):
    folder = cifar_files.write(name, kind)
    path = cifar_files.pack(folder, ARCHIVES[name, kind])
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    layout = {layout.kind: layout for layout in SPECS[name].layouts}[kind]
    with pytest.warns(UserWarning) as caught:
        load_whole(name, path)
    assert len(caught) == 1
    assert digest in str(caught[0].message) and layout.md5 in str(caught[0].message)
    assert caught[0].filename == __file__  # the warning points at the caller
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        load_whole(name, cifar_files.pack(folder, 'mine.tar.gz'))


def test_official_checksum_does_not_warn(cifar_files):
    path = cifar_files.pack(cifar_files.write('cifar10', 'python'),
                            ARCHIVES['cifar10', 'python'])
    layouts = tuple(layout._replace(md5=hashlib.md5(path.read_bytes()).hexdigest())
                    for layout in cifar.CIFAR10.layouts)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        cifar.load(cifar.CIFAR10._replace(layouts=layouts), path)


@pytest.mark.parametrize('archive, md5', [
    ('cifar-10-python.tar.gz', 'c58f30108f718f92721af3b95e74349a'),
    ('cifar-10-binary.tar.gz', 'c32a1d4ab5d03f1284b67883e8d87530'),
    ('cifar-100-python.tar.gz', 'eb9058c3a382ffc7106e4002c42a8d85'),
    ('cifar-100-binary.tar.gz', '03b5dce01913d631647c71ecec9e9cb8'),
])
def test_published_checksums(archive, md5):
    assert md5 in [layout.md5 for spec in SPECS.values() for layout in spec.layouts
                   if layout.archive == archive]
