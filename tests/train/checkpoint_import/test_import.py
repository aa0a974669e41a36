"""Importing a checkpoint by rules: what is taken, left out, converted and refused."""
import numpy as np
import pytest

from ash_tf1.checkpoint_import import import_checkpoint
from ash_tf1.commands.import_checkpoint import classifier_target
from tests.train.checkpoint_import.checkpoints import save
from tests.train.miniature import read_weights

FORMATS = ['v2', 'v1', 'v1 sharded']


@pytest.mark.parametrize('lines, message', [
    (['rename old/a x'], 'm.ckpt cannot be imported: no rule matches old/b, old/c, old/d$'),
    ([], 'no rule matches old/a, old/b, old/c, old/d'),
    (['regex (old)/.+ \\1'], 'both old/a and old/b become old$'),
    (['drop .*'], 'none of its variables'),
    (['rename old/b new/_b', 'rename old/a _x'], r"old/a becomes '_x', .* line 2: rename old/a _x"),
    (['regex (x)?.+ \\1'], "old/a becomes '', which is no name"),
])
def test_what_the_rules_cannot_do_is_refused(tmp_path, rules, lines, message, small):
    old = save(tmp_path / 'm.ckpt', small)
    with pytest.raises(ValueError, match=message):
        import_checkpoint(old, str(tmp_path / 'new' / 'm.ckpt'), rules(*lines))
    assert not (tmp_path / 'new').exists()


def test_unmatched_variables_are_left_out_on_request(tmp_path, rules, small):
    old = save(tmp_path / 'm.ckpt', small)
    report = import_checkpoint(old, str(tmp_path / 'new.ckpt'),
                               rules('drop .*/b', 'rename old/a x', r'regex (.+/c) \1'),
                               ignore_unmatched=True)
    assert report.imported == [('old/a', 'x'), ('old/c', 'old/c')]
    assert (report.dropped, report.unmatched) == (['old/b'], ['old/d'])
    assert sorted(read_weights(tmp_path / 'new.ckpt')) == ['old/c', 'x']


def test_of_several_files_the_first_rule_decides(tmp_path, rules, small):
    old = save(tmp_path / 'm.ckpt', small)
    first = tmp_path / 'first.txt'
    first.write_text('drop old/[ad]')
    report = import_checkpoint(old, None, [str(first)] + rules(r'regex old/(.+) \1'), dry_run=True)
    assert report.dropped == ['old/a', 'old/d']
    assert report.imported == [('old/b', 'b'), ('old/c', 'c')]


@pytest.mark.parametrize('kind', FORMATS)
def test_all_of_a_net_is_imported(old_tiny, tiny_values, tmp_path, kind, tiny_target):
    new = tmp_path / 'new.ckpt'
    old = old_tiny(kind, old__slot=np.ones(3))
    report = import_checkpoint(old, str(new), old_tiny.rules, tiny_target)
    assert [name for _, name in report.imported] == sorted(tiny_values)
    assert report[1:] == ([], [], [], ['old/slot'], [], True)
    actual = read_weights(new)
    assert sorted(actual) == sorted(tiny_values)
    for name, value in tiny_values.items():
        np.testing.assert_array_equal(actual[name], value)


def test_names_that_are_right_need_no_rule(tiny_values, tmp_path, tiny_target):
    old = save(tmp_path / 'm.ckpt', tiny_values, 'v1')
    report = import_checkpoint(old, str(tmp_path / 'new.ckpt'), [], tiny_target)
    assert report.imported == [(name, name) for name in sorted(tiny_values)]
    assert sorted(read_weights(tmp_path / 'new.ckpt')) == sorted(tiny_values)


def test_the_scope_of_the_net_may_be_another(tiny_values, tmp_path):
    values = {name.replace('tiny', 'mine'): value for name, value in tiny_values.items()}
    old = save(tmp_path / 'm.ckpt', values)
    target = classifier_target('tiny', 3, (8, 8, 3), 'relu', scope='mine')
    assert len(import_checkpoint(old, None, [], target, dry_run=True).imported) == len(values)


def test_axes_of_size_1_are_put_right_and_reported(old_tiny, tiny_values, tmp_path, tiny_target):
    logits = tiny_values['tiny/logits/weights']
    kernel = tiny_values['tiny/block1/unit_1/conv2/weights']
    old = old_tiny(old__logits__weights=logits[None, None],
                   old__block1__unit_1__conv2__weights=kernel[:, :, None])
    report = import_checkpoint(old, str(tmp_path / 'new.ckpt'), old_tiny.rules, tiny_target)
    assert report.reshaped == [
        ('tiny/block1/unit_1/conv2/weights', [3, 3, 1, 16, 16], [3, 3, 16, 16]),
        ('tiny/logits/weights', [1, 1, 16, 3], [16, 3])]
    actual = read_weights(tmp_path / 'new.ckpt')
    np.testing.assert_array_equal(actual['tiny/logits/weights'], logits)
    np.testing.assert_array_equal(actual['tiny/block1/unit_1/conv2/weights'], kernel)


@pytest.mark.parametrize('changes, words', [
    (dict(old__logits__weights=np.ones((3, 16), np.float32), old__logits__biases=np.ones(
        4, np.float32)),
     ['tiny/logits/weights (from old/logits/weights) is [3, 16] there, [16, 3] in tiny',
      'tiny/logits/biases (from old/logits/biases) is [4] there, [3] in tiny']),
    (dict(old__logits__weights=np.ones((48,), np.float32)), ['[48] there, [16, 3] in tiny']),
    (dict(old__logits__biases=np.ones(3)),
     ['tiny/logits/biases (from old/logits/biases) is float64 there, float32 in tiny']),
    (dict(old__logits__biases=None, old__logits__bias=np.ones(3, np.float32)),
     ['tiny/logits/bias (from old/logits/bias) is no variable of tiny',
      'tiny needs tiny/logits/biases']),
    (dict(old__logits__biases=None, old__conv1__weights=None),
     ['tiny needs tiny/conv1/weights, tiny/logits/biases, for which there is nothing']),
    (dict(other=np.ones(3), another=np.ones(3)),
     ['no rule matches another, other, which tiny does not have either']),
    (dict(other=np.ones(3), old__logits__biases=None),
     ['no rule matches other', 'tiny needs tiny/logits/biases']),
])
def test_what_does_not_fit_the_net_is_named_all_at_once(old_tiny, tmp_path, changes, words,
                                                        tiny_target):
    old, new = old_tiny(**changes), str(tmp_path / 'new.ckpt')
    with pytest.raises(ValueError, match='m.ckpt cannot be imported') as caught:
        import_checkpoint(old, new, old_tiny.rules, tiny_target)
    for word in words:
        assert word in str(caught.value)
    assert not list(tmp_path.glob('new*'))


def test_a_kept_name_that_the_net_lacks_is_unmatched(old_tiny, tmp_path, tiny_target):
    keep = tmp_path / 'keep.txt'
    keep.write_text(r'regex (other) \1')
    old = old_tiny(other=np.ones(3))
    with pytest.raises(ValueError, match='no rule matches other'):
        import_checkpoint(old, None, old_tiny.rules + [str(keep)], tiny_target, dry_run=True)
    report = import_checkpoint(old, None, old_tiny.rules + [str(keep)], tiny_target, dry_run=True,
                               ignore_unmatched=True)
    assert report.unmatched == ['other']


@pytest.mark.parametrize('activation, names, initial', [
    ('swish_beta', ['beta'], {'beta': [1.0]}),
    ('ash', ['z_k', 'alpha'], {'z_k': [1e-3], 'alpha': [1.0]}),
    ('prelu', ['alpha'], {'alpha': [0.25] * 16}),
    ('relu', [], {}),
])
def test_the_activations_own_variables_are_filled(old_tiny, tiny_values, tmp_path, activation,
                                                  names, initial):
    target = classifier_target('tiny', 3, (8, 8, 3), activation)
    report = import_checkpoint(old_tiny(), str(tmp_path / 'new.ckpt'), old_tiny.rules, target)
    layers = ['tiny/block1/unit_1/preact', 'tiny/block1/unit_1/conv1', 'tiny/postnorm']
    expected = ['{}/{}'.format(layer, name) for layer in layers for name in names]
    assert sorted(report.filled) == sorted(expected)
    actual = read_weights(tmp_path / 'new.ckpt')
    assert sorted(actual) == sorted(expected + list(tiny_values))
    for name in expected:
        np.testing.assert_allclose(actual[name], initial[name.rsplit('/', 1)[1]], rtol=1e-6)


def test_what_there_is_of_the_activations_own_is_kept(old_tiny, tmp_path):
    old = old_tiny(old__postnorm__z_k=np.array([0.7], np.float32))
    report = import_checkpoint(old, str(tmp_path / 'new.ckpt'), old_tiny.rules,
                               classifier_target('tiny', 3, (8, 8, 3), 'ash'))
    assert len(report.filled) == 5 and 'tiny/postnorm/z_k' not in report.filled
    actual = read_weights(tmp_path / 'new.ckpt')
    np.testing.assert_allclose(actual['tiny/postnorm/z_k'], [0.7], rtol=1e-6)


def test_missing_variables_are_initialized_by_a_seed(old_tiny, tiny_values, tmp_path):
    old = old_tiny(old__logits__weights=None, old__logits__biases=None)
    values = []
    for i, seed in enumerate([5, 5, 6]):
        new = tmp_path / 'new-{}.ckpt'.format(i)
        report = import_checkpoint(old, str(new), old_tiny.rules,
                                   classifier_target('tiny', 3, (8, 8, 3), 'ash'),
                                   initialize_missing=True, seed=seed)
        values.append(read_weights(new))
    assert report.initialized == ['tiny/logits/weights', 'tiny/logits/biases']
    assert len(report.filled) == 6
    name = 'tiny/logits/weights'
    np.testing.assert_array_equal(values[0][name], values[1][name])
    assert np.abs(values[0][name] - values[2][name]).max() > 0.01
    assert 0.1 < values[0][name].std() < 1.0
    np.testing.assert_array_equal(values[2]['tiny/conv1/weights'],
                                  tiny_values['tiny/conv1/weights'])


@pytest.mark.parametrize('arguments, words', [
    (('lenet', 3), 'lenet'),
    (('tiny', 3, (8, 8, 3), 'tanhh'), 'tanhh'),
    (('tiny', 0), 'num_classes .*0'),
    (('tiny', 3, (8, 8)), 'input_size .*H W C, got 8 8'),
    (('tiny', 3, (8, -1, 3)), 'input_size .*8 -1 3'),
])
def test_an_impossible_target_is_refused(old_tiny, arguments, words):
    with pytest.raises(ValueError, match=words):
        import_checkpoint(old_tiny(), None, old_tiny.rules, classifier_target(*arguments),
                          dry_run=True)
