"""Bad files: one error, which names the file and what is wrong with it, and no harm done."""
import gzip
import io
import os
import re
import tarfile

import pytest

from ash_tf1.input_pipelines import load_dataset
from tests.train.input_pipelines.python2_pickles import Raw, pickle2, pickled_array


def assert_refused(name, path, *words, **options):
    with pytest.raises(options.get('error', ValueError)) as caught:
        load_dataset(name, path)
    for word in words:
        assert str(word) in str(caught.value)
    assert '\n' not in str(caught.value)
    assert len(str(caught.value)) < 600


def edited(cifar_files, name, batch, **changes):
    """Writes the Python layout and changes keys of one file; returns (folder, path of the file)."""
    folder = cifar_files.write(name, 'python')
    record = cifar_files.pickle_record(name, batch)
    record.update({key.encode(): value for key, value in changes.items() if key != 'data'})
    if 'data' in changes:
        record['data'] = changes['data']
    cifar_files.write_pickle(folder / batch, record)
    return folder, folder / batch


@pytest.mark.parametrize('share', [0.0, 0.001, 0.5, 0.9, 0.9999])
@pytest.mark.parametrize('file', ['data_batch_4', 'batches.meta'])
def test_truncated_pickle(cifar_files, file, share):
    folder = cifar_files.write('cifar10', 'python')
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[:int(share * len(content))])
    assert_refused('cifar10', folder, folder / file, 'truncated or not a pickle')


@pytest.mark.parametrize('name, file, record', [('cifar10', 'data_batch_2.bin', 3073),
                                                ('cifar100', 'test.bin', 3074)])
@pytest.mark.parametrize('size', [0, 1, 3072, 3075, 5000])
def test_truncated_binary(cifar_files, name, file, record, size):
    folder = cifar_files.write(name, 'binary')
    (folder / file).write_bytes(bytes(size))
    assert_refused(name, folder, folder / file, f'{size} bytes', record)


@pytest.mark.parametrize('name, file, column, label, words', [
    ('cifar10', 'test_batch.bin', 0, 10, 'record 1 has labels 10, allowed are 0..9'),
    ('cifar100', 'train.bin', 1, 100, 'record 1 has fine_labels 100, allowed are 0..99'),
    ('cifar100', 'train.bin', 0, 20, 'record 1 has coarse_labels 20, allowed are 0..19'),
])
def test_label_byte_out_of_range(cifar_files, name, file, column, label, words):
    folder = cifar_files.write(name, 'binary')
    content = bytearray((folder / file).read_bytes())
    content[len(content) // 3 + column] = label
    (folder / file).write_bytes(bytes(content))
    assert_refused(name, folder, folder / file, words)


@pytest.mark.parametrize('name, batch, key, labels, words', [
    ('cifar10', 'test_batch', 'labels', [0, 1, 10], 'record 2 has labels 10, allowed are 0..9'),
    ('cifar10', 'test_batch', 'labels', [0, -1, 1], "'labels' is not a list of class indices"),
    ('cifar10', 'test_batch', 'labels', [0, [1], 1], "'labels' is not a list of class indices"),
    ('cifar10', 'test_batch', 'labels', [0, b'1', 1], "'labels' is not a list of class indices"),
    ('cifar10', 'data_batch_1', 'labels', (0, 1, 2), "'labels' is not a list of class indices"),
    ('cifar10', 'data_batch_1', 'labels', [0, 1], 'has 2 labels for 3 images'),
    ('cifar100', 'train', 'fine_labels', [0, 1, 100], 'record 2 has fine_labels 100'),
    ('cifar100', 'train', 'coarse_labels', [0, 1, 20], 'record 2 has coarse_labels 20'),
    ('cifar100', 'test', 'fine_labels', [0] * 4, 'has 4 fine_labels for 3 images'),
])
def test_wrong_pickled_labels(cifar_files, name, batch, key, labels, words):
    folder, path = edited(cifar_files, name, batch, **{key: labels})
    assert_refused(name, folder, path, words)


@pytest.mark.parametrize('shape, size, words', [
    ((3, 3071), 3 * 3071, "'data' is not a uint8 array [N, 3072]"),
    ((9216,), 9216, 'not of two dimensions'),
    ((3, 32, 32, 3), 9216, 'not of two dimensions'),
    ((4, 3072), 9216, 'declared shape [4, 3072] with 9216 bytes'),
    ((0, 3072), 0, 'not of two dimensions'),
])
def test_wrong_pickled_pixels(cifar_files, shape, size, words):
    array = pickled_array(shape, bytes(size))
    folder, path = edited(cifar_files, 'cifar10', 'data_batch_5', data=array)
    assert_refused('cifar10', folder, path, words)


def test_pixels_that_are_no_array(cifar_files):
    folder, path = edited(cifar_files, 'cifar10', 'data_batch_5', data=[b'a', b'b', b'c'])
    assert_refused('cifar10', folder, path, "'data' is not a uint8 array")


def test_pickle_that_runs_code_is_refused_and_not_run(cifar_files, tmp_path):
    marker = tmp_path / 'it_ran'
    command = f'touch {marker}'.encode()
    attack = Raw(b'cos\nsystem\n(' + pickle2(command) + b'tR')
    folder, path = edited(cifar_files, 'cifar10', 'data_batch_1', filenames=attack)
    assert_refused('cifar10', folder, path, 'os.system')
    assert not marker.exists()


@pytest.mark.parametrize('name, kind, file', [
    ('cifar10', 'python', 'data_batch_3'), ('cifar10', 'binary', 'test_batch.bin'),
    ('cifar100', 'python', 'meta'), ('cifar100', 'binary', 'fine_label_names.txt')])
def test_missing_file(cifar_files, name, kind, file):
    folder = cifar_files.write(name, kind)
    (folder / file).unlink()
    assert_refused(name, folder, folder / file, 'missing', error=FileNotFoundError)
    archive = cifar_files.pack(folder)
    assert_refused(name, archive, archive, f'has no member {folder.name}/{file}')


@pytest.mark.parametrize('kind', ['python', 'binary'])
def test_other_cifar_is_not_mistaken(cifar_files, kind):
    folder = cifar_files.write('cifar100', kind)
    assert_refused('cifar10', folder, folder, 'cifar-10-batches-py', error=FileNotFoundError)
    archive = cifar_files.pack(folder)
    assert_refused('cifar10', archive, archive, 'holds none of the files of CIFAR-10')


def test_missing_path(tmp_path):
    assert_refused('cifar10', tmp_path / 'absent', tmp_path / 'absent', 'cs.toronto.edu',
                   error=FileNotFoundError)


@pytest.mark.parametrize('name, kind, file, size', [
    ('cifar10', 'python', 'data_batch_1', 10000 * 4096 + 1),
    ('cifar10', 'binary', 'data_batch_1.bin', 10000 * 3073 + 1),
    ('cifar100', 'binary', 'train.bin', 50000 * 3074 + 1),
    ('cifar10', 'binary', 'batches.meta.txt', 65537)])
def test_oversized_file_is_refused_before_it_is_read(cifar_files, name, kind, file, size):
    folder = cifar_files.write(name, kind)
    with open(str(folder / file), 'r+b') as handle:
        handle.truncate(size)  # sparse: takes no space
    assert_refused(name, folder, folder / file, f'{size} bytes', 'at most')


@pytest.mark.parametrize('file', ['', 'cifar-10-batches-bin/data_batch_2.bin'])
def test_a_pipe_is_refused_and_not_waited_for(cifar_files, file):
    cifar_files.write('cifar10', 'binary')
    path = cifar_files.root / file if file else cifar_files.root / 'cifar-10-binary.tar.gz'
    if file:
        path.unlink()
    os.mkfifo(str(path))
    assert_refused('cifar10', cifar_files.root if file else path, path, 'not a regular file')


@pytest.mark.parametrize('kind, content', [
    ('binary', b'only\nthree\nnames\n'), ('binary', b'\xff\n' * 10), ('binary', b'twice\n' * 10),
    ('python', b'\x80\x02}.'), ('python', b'\x80\x02}(U\x0blabel_namesK\x05u.')])
def test_wrong_class_names(cifar_files, kind, content):
    folder = cifar_files.write('cifar10', kind)
    meta = next(folder.glob('batches.meta*'))
    meta.write_bytes(content)
    assert_refused('cifar10', folder, meta, 'does not hold the 10 class names of CIFAR-10')


# Archives.

def member(name, kind=tarfile.REGTYPE, target='', size=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


@pytest.mark.parametrize('bad, words', [
    (member('../evil'), 'leads out'),
    (member('cifar-10-batches-py/../../evil'), 'leads out'),
    (member('/etc/evil'), 'leads out'),
    (member('..\\evil'), 'leads out'),
    (member('C:/evil'), 'leads out'),
    (member('cifar-10-batches-py/..', tarfile.DIRTYPE), 'leads out'),
    (member('link', tarfile.SYMTYPE, '/etc/passwd'), 'link'),
    (member('cifar-10-batches-py/test_batch', tarfile.SYMTYPE, 'data_batch_1'), 'link'),
    (member('link', tarfile.LNKTYPE, 'cifar-10-batches-py/test_batch'), 'link'),
    (member('device', tarfile.CHRTYPE), 'special file'),
    (member('pipe', tarfile.FIFOTYPE), 'special file'),
    (member('big.html', size=65537), 'declares 65537 bytes'),
])
def test_archive_with_a_harmful_member(cifar_files, bad, words):
    folder = cifar_files.write('cifar10', 'python')
    path = cifar_files.pack(folder, members=[(bad, bytes(bad.size))])
    assert_refused('cifar10', path, path, repr(bad.name), words)
    assert sorted(os.listdir(str(cifar_files.root))) == ['cifar-10-batches-py', 'copy.tar.gz']


@pytest.mark.parametrize('size', [10000 * 3073 + 1, 2 ** 40, 2 ** 62])
def test_declared_size_is_checked_before_the_member_is_read(cifar_files, size):
    path = cifar_files.pack(cifar_files.write('cifar10', 'binary'))
    cifar_files.repack_with_size(path, 'cifar-10-batches-bin/test_batch.bin', size)
    assert_refused('cifar10', path, path, 'cifar-10-batches-bin/test_batch.bin',
                   f'declares {size} bytes')


@pytest.mark.parametrize('kind', [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_header_that_asks_for_much_memory(tmp_path, kind):
    header = member('././@LongLink', kind, size=2 ** 33)
    path = tmp_path / 'bomb.tar.gz'
    path.write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(4096)))
    assert_refused('cifar10', path, path, 'holds more than the expected')


def test_archive_of_countless_members(cifar_files):
    folder = cifar_files.write('cifar10', 'binary')  # one folder with seven files
    members = [(member(f'note_{i}'), b'') for i in range(57)]
    load_dataset('cifar10', cifar_files.pack(folder, members=members[:56]))
    path = cifar_files.pack(folder, members=members)
    assert_refused('cifar10', path, path, "'note_56'", 'more than are expected')


@pytest.mark.parametrize('share', [0.0, 0.01, 0.5, 0.99])
def test_truncated_archive(cifar_files, share):
    path = cifar_files.pack(cifar_files.write('cifar10', 'binary'))
    content = path.read_bytes()
    path.write_bytes(content[:int(share * len(content))])
    assert_refused('cifar10', path, path, 'truncated or not a .tar.gz archive')


def test_file_that_is_no_archive(cifar_files):
    path = cifar_files.write('cifar10', 'binary') / 'test_batch.bin'
    assert_refused('cifar10', path, path, 'truncated or not a .tar.gz archive')


def test_gzip_of_no_archive(tmp_path):
    path = tmp_path / 'text.tar.gz'
    path.write_bytes(gzip.compress(b'text ' * 1000))
    assert_refused('cifar10', path, path, 'truncated or not a .tar.gz archive')


def test_damaged_pixels_in_an_archive_are_noticed(cifar_files):
    """The sum at gzip's very end tells, so the archive must be read to there."""
    folder = cifar_files.write('cifar10', 'binary')
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode='w') as archive:
        archive.add(str(folder), folder.name)
    packed = bytearray(gzip.compress(plain.getvalue(), compresslevel=0))
    packed[len(packed) // 2] ^= 1
    path = cifar_files.root / 'copy.tar.gz'
    path.write_bytes(bytes(packed))
    assert_refused('cifar10', path, path, 'CRC')


def test_error_in_an_archive_names_archive_and_member(cifar_files):
    folder = cifar_files.write('cifar10', 'binary')
    (folder / 'test_batch.bin').write_bytes(b'short')
    path = cifar_files.pack(folder)
    with pytest.raises(ValueError, match=re.escape(
            f'{path}:cifar-10-batches-bin/test_batch.bin: has 5 bytes')):
        load_dataset('cifar10', path)
