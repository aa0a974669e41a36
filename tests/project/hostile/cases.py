"""All cases by name: those of deeds, structures and files, and mutations by seed up to COUNT."""
import itertools
import zlib

import bases
import deeds  # noqa: F401 - registers its cases
import files  # noqa: F401
import mutations
import numpy as np
import structures  # noqa: F401
import tensorflow.compat.v1 as tf
from tensorflow.core.protobuf import saved_model_pb2
from workplace import CASES, META, SAVED, case

COUNT = 200
CHECKPOINT = ('net.ckpt.index', 'net.ckpt.data-00000-of-00001')
# Run in `make test`: each kind of source and of mutation.
FEW = (
    'op DebugIdentity', 'op ReadFile', 'op WriteFile', 'op PyFunc', 'op Table', 'op Dropout',
    'a function that calls itself', 'a function that reads a file', 'a fill of 2^60 elements',
    'a constant that claims 2^40 elements', "a leak of 'nan'", 'recomputed ASH of another value',
    'an output that is not there', 'names in a checkpoint that are not there',
    "a slice of '3 0,9'", 'labels of control characters', 'labels', 'rewire recompute 0',
    'flip_bytes saved 0', 'duplicate_name loop 0')


def mutate_graph(mutation, source, number):
    def make(place):
        rng = _rng(mutation, source, number)
        if source in bases.FROZEN:
            graph_def = place.base(source)
            mutation(graph_def, rng)
            return [place.write(graph_def), '--output', 'y']
        path = place.copy(source)
        name, kind = (META, tf.MetaGraphDef) if source == 'meta' else (
            SAVED, saved_model_pb2.SavedModel)
        message = place.read(name, kind)
        mutation((message if source == 'meta' else message.meta_graphs[0]).graph_def, rng)
        place.write(message, name)
        return [path] + (['--output', 'scaled'] if source == 'meta' else [])
    return make


def mutate_bytes(mutation, source, number):
    def make(place):
        rng = _rng(mutation, source, number)
        if source in bases.FROZEN:
            return [place.write(mutation(place.base(source).SerializeToString(), rng))]
        path = place.copy(source)
        names = (META,) + CHECKPOINT if source == 'meta' else (SAVED,)
        name = names[number % len(names)]
        place.write(mutation(place.read(name), rng), name)
        return [path] + (['--output', 'scaled'] if source == 'meta' else [])
    return make


def _rng(mutation, source, number):
    return np.random.RandomState(zlib.crc32('{} {} {}'.format(
        mutation.__name__, source, number).encode()))


def _register():
    sources = itertools.cycle(bases.FROZEN + ('meta', 'saved'))
    for number in itertools.count():
        for mutation in mutations.GRAPH_MUTATIONS + mutations.BYTE_MUTATIONS:
            if len(CASES) >= COUNT:
                return
            source = next(sources)
            make = mutate_bytes if mutation in mutations.BYTE_MUTATIONS else mutate_graph
            case('{} {} {}'.format(mutation.__name__, source, number))(
                make(mutation, source, number))


_register()
