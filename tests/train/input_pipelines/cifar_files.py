"""Miniature data sets in the official formats, written from the formats' published descriptions."""
import gzip
import io
import tarfile

import numpy as np

from ash_tf1.input_pipelines import ArraySplit
from tests.train.input_pipelines.python2_pickles import pickle2

# What the publisher calls things; on purpose not taken from the code under test.
CLASSES = {'cifar10': 10, 'cifar100': 100}
FOLDERS = {('cifar10', 'python'): 'cifar-10-batches-py',
           ('cifar10', 'binary'): 'cifar-10-batches-bin',
           ('cifar100', 'python'): 'cifar-100-python',
           ('cifar100', 'binary'): 'cifar-100-binary'}
ARCHIVES = {('cifar10', 'python'): 'cifar-10-python.tar.gz',
            ('cifar10', 'binary'): 'cifar-10-binary.tar.gz',
            ('cifar100', 'python'): 'cifar-100-python.tar.gz',
            ('cifar100', 'binary'): 'cifar-100-binary.tar.gz'}
BATCHES = {'cifar10': ['data_batch_1', 'data_batch_2', 'data_batch_3', 'data_batch_4',
                       'data_batch_5', 'test_batch'],
           'cifar100': ['train', 'test']}


class CifarFiles:
    """Writes miniature CIFARs under a folder, and knows what a reader must make of them."""

    def __init__(self, root):
        self.root = root

    @staticmethod
    def class_names(dataset):
        return [f'class_{i}' for i in range(CLASSES[dataset])]

    @staticmethod
    def records(dataset, count=3):
        """One dict a file: images uint8 [count, 32, 32, 3], labels and coarse labels [count]."""
        rng = np.random.RandomState(CLASSES[dataset])
        return {batch: {'images': rng.randint(0, 256, (count, 32, 32, 3)).astype(np.uint8),
                        'labels': rng.randint(0, CLASSES[dataset], count),
                        'coarse': rng.randint(0, 20, count)} for batch in BATCHES[dataset]}

    def expected(self, dataset):
        """The training and the test split of the files below."""
        files = self.records(dataset)
        split = [ArraySplit(image=np.concatenate([files[batch]['images'] for batch in batches]),
                            label=np.concatenate([files[batch]['labels'] for batch in batches]))
                 for batches in (BATCHES[dataset][:-1], BATCHES[dataset][-1:])]
        return tuple(split)

    def pickle_record(self, dataset, batch):
        record = self.records(dataset)[batch]
        planes = record['images'].transpose(0, 3, 1, 2).reshape(-1, 3072)
        labels, coarse = ([int(value) for value in record[key]] for key in ('labels', 'coarse'))
        fields = ({b'labels': labels} if dataset == 'cifar10'
                  else {b'fine_labels': labels, b'coarse_labels': coarse})
        return dict(fields, data=planes, filenames=[b'a.png'] * len(labels), batch_label=b'a batch')

    def write(self, dataset, kind):
        """Writes one layout as the publisher's folder below the root and returns its path."""
        folder = self.root / FOLDERS[dataset, kind]
        folder.mkdir()
        for batch, record in self.records(dataset).items():
            if kind == 'python':
                self.write_pickle(folder / batch, self.pickle_record(dataset, batch))
            else:
                rows = [(bytes([record['coarse'][i]]) if dataset == 'cifar100' else b'')
                        + bytes([record['labels'][i]])
                        + record['images'][i].transpose(2, 0, 1).tobytes()
                        for i in range(len(record['labels']))]
                (folder / (batch + '.bin')).write_bytes(b''.join(rows))
        names = self.class_names(dataset)
        prefix = '' if dataset == 'cifar10' else 'fine_'
        if kind == 'python':
            self.write_pickle(folder / ('batches.meta' if dataset == 'cifar10' else 'meta'),
                              {prefix + 'label_names': [name.encode() for name in names]})
        else:
            meta = 'batches.meta.txt' if dataset == 'cifar10' else 'fine_label_names.txt'
            (folder / meta).write_text('\n'.join(names) + '\n\n')
        return folder

    @staticmethod
    def write_pickle(path, record):
        """Pickles a dict whose keys become Python 2 strings."""
        record = {key if isinstance(key, bytes) else key.encode(): record[key] for key in record}
        path.write_bytes(b'\x80\x02' + pickle2(record) + b'.')

    def pack(self, folder, name='copy.tar.gz', members=()):
        """Packs a folder as the publisher does, and after it `members`, pairs (TarInfo, bytes)."""
        path = self.root / name
        with tarfile.open(str(path), 'w:gz') as archive:
            archive.add(str(folder), folder.name)
            for member, content in members:
                archive.addfile(member, io.BytesIO(content))
        return path

    def place(self, dataset, kind, place):
        """Writes a layout and returns the path of it: as 'folder', 'parent' or 'archive'."""
        folder = self.write(dataset, kind)
        if place == 'archive':
            return self.pack(folder)
        return {'folder': folder, 'parent': folder.parent}[place]

    @staticmethod
    def repack_with_size(path, member_name, size):
        """Makes an archive's header claim another size for one member."""
        content = bytearray(gzip.decompress(path.read_bytes()))
        with tarfile.open(fileobj=io.BytesIO(bytes(content))) as archive:
            member = archive.getmember(member_name)
        start = member.offset
        member.size = size
        content[start:start + 512] = member.tobuf(tarfile.GNU_FORMAT)
        path.write_bytes(gzip.compress(bytes(content)))
