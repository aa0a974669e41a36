"""tests/golden/nets.json: what every net has and costs, held against what was published.

`pytest -m '' tests/train/nets --update-golden` renews our figures there, never the published ones.
"""
import json
import math
from pathlib import Path

import pytest

from ash_tf1 import ops
from ash_tf1.nets import NETS, get_net, reference_task
from ash_tf1.nets.summary import summarize

GOLDEN = Path(__file__).resolve().parents[2] / 'golden' / 'nets.json'
ENTRIES = json.loads(GOLDEN.read_text())
OURS = ('parameters', 'multiply_adds', 'activations')
UNITS = {'M': 1e6, 'G': 1e9}


def count(label):
    name, *options = label.split()
    shape, classes = reference_task(name)
    summary = summarize(get_net(name, options), shape, classes, lambda x: x)
    return dict({what: getattr(summary, what) for what in OURS}, input=list(shape), classes=classes)


@pytest.fixture(scope='module')
def entries(request):
    if request.config.getoption('--update-golden', default=False):
        for label in ENTRIES:
            ENTRIES[label].update(count(label))
        write(ENTRIES)
    return ENTRIES


def write(entries):
    """A line for each net, and one for each published figure."""
    texts = []
    for label, entry in entries.items():
        published = ',\n    '.join(json.dumps(figure) for figure in entry['published'])
        ours = json.dumps({key: entry[key] for key in entry if key != 'published'})
        texts.append('  {}: {}, "published": [{}]}}'.format(
            json.dumps(label), ours[:-1], published and '\n    ' + published))
    GOLDEN.write_text('{\n' + ',\n'.join(texts) + '\n}\n')


def test_every_net_is_in_the_table():
    assert {label.split()[0] for label in ENTRIES} == set(NETS)


@pytest.mark.sweep(  # others take seconds to build
    chosen=lambda label: ENTRIES[label]['activations'] < 20 or label in (
        'densenet_bc_100_12', 'resnet_v1_50', 'resnet_v1_50 stride_placement=3x3'))
@pytest.mark.parametrize('label', ENTRIES)
def test_counts_of_the_built_graph(entries, label):
    assert count(label) == {key: entries[label][key] for key in entries[label]
                            if key != 'published'}


@pytest.mark.parametrize('label, figure', [(label, figure) for label, entry in ENTRIES.items()
                                           for figure in entry['published']])
def test_counts_agree_with_the_published_ones(label, figure):
    """Within 1 %, after what is known to differ; or in every digit that the paper prints."""
    text, unit = figure['figure'].split()
    digits = len(text.partition('.')[2])
    published, ours = float(text), ENTRIES[label][figure['what']]
    ours = (ours - sum(figure.get('differs_by', {}).values())) / UNITS[unit]
    cut_off = math.floor(ours * 10 ** digits) / 10 ** digits
    assert (abs(ours - published) <= 0.01 * published
            or round(ours, digits) == published
            or ('cuts off' in figure.get('note', '') and cut_off == published)), ours


# What the papers say, counted by hand: another way to the same figures.

def batch_norm(channels):
    return 2 * channels


def test_densenet_by_hand():
    for name, layers, growth, channels, bottleneck, kept in (
            ('densenet_100_12', 32, 12, 16, False, 1.0),
            ('densenet_bc_100_12', 16, 12, 24, True, 0.5)):
        total = 3 * 9 * channels
        for block in range(3):
            for _ in range(layers):
                total += batch_norm(channels)
                if bottleneck:
                    total += 4 * growth * (channels + 9 * growth) + batch_norm(4 * growth)
                else:
                    total += channels * 9 * growth
                channels += growth
            total += batch_norm(channels)  # of the transition, or the last one
            if block < 2:
                total += channels * int(kept * channels)
                channels = int(kept * channels)
        assert total + channels * 10 + 10 == ENTRIES[name]['parameters']


@pytest.mark.parametrize('name, units, width', [
    ('resnet_v2_8', 1, 1), ('resnet_v2_20', 3, 1), ('resnet_v2_56', 9, 1), ('resnet_v2_110', 18, 1),
    ('wrn_16_4', 2, 4), ('wrn_28_10', 4, 10), ('wrn_40_4', 6, 4)])
def test_residual_nets_of_two_convolutions_a_unit_by_hand(name, units, width):
    channels, total = 16, 3 * 9 * 16
    for depth in (16 * width, 32 * width, 64 * width):
        for _ in range(units):
            total += batch_norm(channels) + 9 * channels * depth
            total += batch_norm(depth) + 9 * depth * depth
            total += channels * depth if channels != depth else 0
            channels = depth
    assert total + batch_norm(channels) + channels * 10 + 10 == ENTRIES[name]['parameters']


def test_activations_by_the_depth_in_the_name():
    """Each layer but the last; projections, which WRN counts as layers, have none."""
    for label, entry in ENTRIES.items():
        family, *_, depth = label.split()[0].split('_')
        if family == 'resnet':
            assert entry['activations'] == int(depth) - 1
        elif family == 'wrn':
            assert entry['activations'] == int(label.split('_')[1]) - 3
        elif family == 'densenet':
            assert entry['activations'] == 99
        else:
            assert entry['activations'] == int(depth) - 1  # two of the three dense layers


@pytest.mark.parametrize('name', [
    'resnet_v2_20', 'resnet_v1_18', pytest.param('densenet_bc_100_12', marks=pytest.mark.slow)])
def test_ash_is_counted_apart(name):
    shape, classes = reference_task(name)
    with_ash = summarize(NETS[name], shape, classes, ops.get_activation('ash', 'plain'), 'ash')
    entry = ENTRIES[name]
    assert with_ash.parameters == entry['parameters']
    assert with_ash.multiply_adds == entry['multiply_adds']
    assert with_ash.activation_parameters == 2 * entry['activations']
