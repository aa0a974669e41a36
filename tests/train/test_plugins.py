"""What a plugin may register, and which one runs unasked."""
import hashlib
import importlib
import json
import re
import sys

import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import input_pipelines, nets, ops, plugins, tasks
from ash_tf1.training import recipes

REGISTRIES = (ops.ACTIVATIONS, nets.NETS, input_pipelines.DATASETS, tasks.TASKS, recipes.RECIPES)


@pytest.fixture(autouse=True)
def restored():
    """The registries as they were, afterwards."""
    before = [dict(registry) for registry in REGISTRIES]
    yield
    for registry, content in zip(REGISTRIES, before):
        registry.clear()
        registry.update(content)
    plugins._loaded.clear()


@pytest.fixture
def plugin(tmp_path):
    """Function of lines of code: the path of a plugin of them."""
    def write(*lines, name='mine.py'):
        path = tmp_path / name
        path.write_text('\n'.join(('from ash_tf1 import plugins',) + lines) + '\n')
        return str(path)
    return write


@pytest.mark.parametrize('line, message', [
    ("plugins.activation('ash')(abs)", "'ash' has another activation already"),
    ("plugins.activation('')(abs)", 'must be a string'),
    ("plugins.net('mine')(lambda inputs, num_classes: 0)",
     'it lacks activation_fn, is_training, reuse, scope'),
    ("plugins.net('mine')(lambda inputs, num_classes, activation_fn, is_training, reuse, scope: 0)",
     'must have a default of scope'),
    ("plugins.task('mine')", 'must be a tasks.Task'),
    ("plugins.recipe('mine', momentum=2.0)", 'momentum'),
    ("plugins.recipe('mine', colour='red')", 'colour'),
    ('1 / 0', 'ZeroDivisionError: division by zero'), ('def', 'SyntaxError'),
])
def test_what_cannot_be_registered_is_named_with_the_file(plugin, line, message):
    path = plugin(line)
    with pytest.raises(ValueError, match=message) as error:
        plugins.load([path])
    assert path in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match='nowhere.py'):
        plugins.load([str(tmp_path / 'nowhere.py')])


def test_a_file_runs_once(plugin):
    path = plugin("plugins.activation('mine')(abs)")
    assert plugins.load([path]) == plugins.load([path])
    assert ops.get_activation('mine').__wrapped__ is abs


@pytest.mark.parametrize('body, gave', [
    ('tf.reduce_mean(x, [1, 2])', r'float32 \[\?, 5\]'), ('tf.cast(x, tf.float16)', 'float16'),
    ('x[:, :3]', r'float32 \[\?, 3, 4, 5\]'), ('None', 'a NoneType'), ('(x, x)', 'a tuple')])
def test_an_activation_that_keeps_no_shape_is_named_with_its_place(plugin, body, gave):
    path = plugin('import tensorflow.compat.v1 as tf',
                  "plugins.activation('mine')(lambda x: {})".format(body))
    plugins.load([path])
    with tf.Graph().as_default(), tf.variable_scope('net'), tf.variable_scope('unit_1'):
        x = tf.placeholder(tf.float32, (None, 4, 4, 5))
        with pytest.raises(ValueError, match=r'activation mine \({}\) gave {}.* for float32 '
                           r"\[\?, 4, 4, 5\] in the variable scope 'net/unit_1'".format(
                               re.escape(path), gave)):
            ops.get_activation('mine')(x)


def test_an_activation_may_know_less_of_a_shape_or_more(plugin):
    plugins.load([plugin('import tensorflow.compat.v1 as tf',
                         "plugins.activation('mine')(lambda x: tf.placeholder_with_default("
                         "x, [3, None] if x.shape.ndims else None))")])
    with tf.Graph().as_default():
        for shape in (None, (None, None), (3, 4), (None, 5)):
            ops.get_activation('mine')(tf.placeholder(tf.float32, shape))


def test_a_form_of_ash_is_given_its_implementation(plugin):
    plugins.load([plugin('import functools', 'from ash_tf1 import ops',
                         "plugins.activation('mine')(functools.partial(ops.fixed_ash, k=30))")])
    assert ops.get_activation('mine', 'plain').keywords == dict(k=30, implementation='plain')


@pytest.fixture
def recorded(plugin, tmp_path):
    """Function (name of the plugin's file): folder of a run that was made with it, in a process
    that has ended."""
    def make(name='mine.py'):
        (tmp_path / 'run').mkdir()
        plugins.record(str(tmp_path / 'run'),
                       plugins.load([plugin("plugins.activation('mine')(abs)", name=name)]))
        plugins._loaded.clear()
        ops.ACTIVATIONS.pop('mine')
        return tmp_path / 'run'
    return make


def test_a_recorded_plugin_is_found_again(recorded):
    assert [one.path.rpartition('/')[2] for one in plugins.load_for(str(recorded()))] == ['mine.py']
    assert 'mine' in ops.ACTIVATIONS


def test_a_folder_without_plugins_needs_none(tmp_path):
    assert plugins.load_for(str(tmp_path)) == []


@pytest.mark.parametrize('name, spoil, reason', [
    ('mine.py', lambda path: path.write_text('raise SystemExit'), 'has changed'),
    ('mine.py', lambda path: path.unlink(), 'is not there'),
    ('run/mine.py', lambda path: None, 'lies in the folder itself'),
])
def test_a_plugin_that_may_be_another_ones_runs_only_where_it_is_given(
        recorded, tmp_path, name, spoil, reason):
    folder = recorded(name)
    spoil(tmp_path / name)
    with pytest.raises(ValueError, match='which {}: give it by --plugin'.format(reason)):
        plugins.load_for(str(folder))
    assert 'mine' not in ops.ACTIVATIONS
    if reason == 'lies in the folder itself':
        plugins.load_for(str(folder), [str(tmp_path / name)])
        assert 'mine' in ops.ACTIVATIONS


def test_a_relative_path_is_not_followed(recorded):
    folder = recorded()
    record = folder / 'plugins.json'
    entry, = json.loads(record.read_text())
    record.write_text(json.dumps([dict(entry, path='../mine.py')]))
    with pytest.raises(ValueError, match='is not there'):
        plugins.load_for(str(folder))


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / 'plugins.json').write_text('[1]')
    with pytest.raises(ValueError, match='plugins.json does not hold the plugins'):
        plugins.load_for(str(tmp_path))


@pytest.fixture
def distribution(tmp_path, monkeypatch):
    """Function (version, lines of its module): installs the distribution `own-parts`."""
    site = tmp_path / 'site'
    info = site / 'own_parts.dist-info'
    info.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(site))

    def install(version, *lines):
        (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: own-parts\nVersion: {}\n'
                                       .format(version))
        (info / 'entry_points.txt').write_text('[ash_tf1.plugins]\nown = own_parts\n'
                                               'lost = own_parts_lost\n')
        (site / 'own_parts.py').write_text('\n'.join(('from ash_tf1 import plugins',) + lines))
        sys.modules.pop('own_parts', None)
        importlib.invalidate_caches()
        return site
    return install


def test_an_installed_plugin_is_found_by_name_and_found_again(distribution, tmp_path):
    site = distribution('1.5', "plugins.activation('mine')(abs)")
    (tmp_path / 'run').mkdir()
    plugins.record(str(tmp_path / 'run'), plugins.load(['own']))
    assert ops.get_activation('mine').__wrapped__ is abs
    entry, = json.loads((tmp_path / 'run' / 'plugins.json').read_text())
    code = (site / 'own_parts.py').read_bytes()
    assert entry == dict(path=str(site / 'own_parts.py'), sha256=hashlib.sha256(code).hexdigest(),
                         name='own', distribution='own-parts', version='1.5')

    plugins._loaded.clear()
    ops.ACTIVATIONS.pop('mine')
    sys.modules.pop('own_parts')
    assert [one.name for one in plugins.load_for(str(tmp_path / 'run'))] == ['own']
    assert 'mine' in ops.ACTIVATIONS


@pytest.mark.parametrize('spoil, reason', [
    (lambda site: (site / 'own_parts.dist-info' / 'entry_points.txt').unlink(),
     r'is not installed \(it came with own-parts 1.5\)'),
    (lambda site: (site / 'own_parts.py').write_text('raise SystemExit'),
     r'has changed since own-parts 1.5 \(here is own-parts 1.5\)')], ids=['gone', 'changed'])
def test_another_installed_plugin_runs_only_where_it_is_given(
        distribution, tmp_path, spoil, reason):
    site = distribution('1.5', "plugins.activation('mine')(abs)")
    plugins.record(str(tmp_path), plugins.load(['own']))
    plugins._loaded.clear()
    spoil(site)
    importlib.invalidate_caches()
    with pytest.raises(ValueError, match='which {}: give it by --plugin own'.format(reason)):
        plugins.load_for(str(tmp_path))


@pytest.mark.parametrize('name, message', [
    ('other', 'other is neither a file nor installed; installed are .*own'),
    ('lost', 'lost of own-parts 1.5: there is no Python file of the module own_parts_lost'),
    ('own', 'ZeroDivisionError')])
def test_an_installed_plugin_that_does_not_load_is_named(distribution, name, message):
    distribution('1.5', '1 / 0')
    with pytest.raises(ValueError, match=message):
        plugins.load([name])
