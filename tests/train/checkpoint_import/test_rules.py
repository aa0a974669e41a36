"""Rules for the names of variables: which one decides, and files that hold none."""
import pytest

from ash_tf1.checkpoint_import.rules import apply_rules, read_rules, ready_rules

pytestmark = pytest.mark.fast


@pytest.fixture
def parse(tmp_path):
    """Function of text: the rules that a file of it has."""
    def read(text):
        (tmp_path / 'my-rules.txt').write_text(text, encoding='utf-8')
        return read_rules(str(tmp_path / 'my-rules.txt'))
    return read


@pytest.mark.parametrize('text, name, expected', [
    ('rename a/W a/kernel', 'a/W', 'a/kernel'),
    ('rename a/W a/kernel', 'a/W/Momentum', 'a/W/Momentum'),
    ('rename a.W a/kernel', 'a/W', 'a/W'),
    (r'regex (.+)/W \1/kernel', 'a/b/W', 'a/b/kernel'),
    (r'regex (.+)/W \1/kernel', 'a/b/W/Adam', 'a/b/W/Adam'),
    (r'regex (.+)/W \1/kernel', 'W', 'W'),
    (r'regex (a)/(b)(/c)? \2/\1\3/\2', 'a/b', 'b/a/b'),
    (r'regex (a)/(b)(/c)? \2/\1\3/\2', 'a/b/c', 'b/a/c/b'),
    ('drop .*/Adam(_1)?', 'a/W/Adam_1', None),
    ('drop .*/Adam(_1)?', 'a/W/Adam_2', 'a/W/Adam_2'),
    ('drop a\nrename a b', 'a', None),
    ('rename a b\ndrop a', 'a', 'b'),
    ('rename a b\nrename b c', 'a', 'b'),
    ('# rename a b\n\n  \t\n\trename   a\tc  # why\n', 'a', 'c'),
    ('', 'a', 'a'),
])
def test_the_first_rule_that_matches_decides(parse, text, name, expected):
    rule, new = apply_rules(parse(text), name)
    assert new == expected
    if rule is None:
        assert new == name
    else:
        assert text.splitlines()[int(rule.origin.split('line ')[1].split(':')[0]) - 1].strip() \
            in rule.origin


@pytest.mark.parametrize('line, words', [
    ('renam a b', ["unknown word 'renam'", 'rename, regex, drop']),
    ('rename a', ['OLD_NAME NEW_NAME', 'got 1 fields']),
    ('rename a b c', ['OLD_NAME NEW_NAME', 'got 3 fields']),
    ('rename a # b', ['got 1 fields']),
    ('regex (.+)', ['PATTERN TEMPLATE', 'got 1 fields']),
    ('drop', ['PATTERN', 'got 0 fields']),
    ('drop a b', ['PATTERN', 'got 2 fields']),
    ('drop (a', ['missing )']),
    ('regex [a b', ['unterminated character set']),
    (r'regex (.+)/W \2/kernel', [r'\2', '1 groups']),
    (r'regex (.+)/W \0', [r"'\\0'"]),
    (r'regex (.+)/W \g<1>', [r"'\\g'"]),
    ('regex (.+)/W a\\', ["'\\\\'"]),
    (r'rename a/W \1', [r"'\\1'"]),
])
def test_a_line_that_is_no_rule_is_named(parse, line, words):
    with pytest.raises(ValueError) as caught:
        parse('# first\nrename x y\n{}\ndrop z\n'.format(line))
    for word in ['my-rules.txt, line 3: ', line] + words:
        assert word in str(caught.value)


@pytest.mark.parametrize('template', [r'\1', r'_\1', r'a b'.replace(' ', '$')])
def test_a_rule_makes_no_names_that_tensorflow_does_not_take(parse, template):
    rules = parse('regex (_?).* ' + template)
    with pytest.raises(ValueError, match=r'^x becomes .* no name .*line 1: regex'):
        apply_rules(rules, 'x')


def test_what_is_no_rules_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="no rules '.*none.txt': .*ready .*authors, slim-resnet"):
        read_rules(str(tmp_path / 'none.txt'))
    (tmp_path / 'model.ckpt').write_bytes(b'\xff\xfe\0')
    with pytest.raises(ValueError, match='model.ckpt is no rules file'):
        read_rules(str(tmp_path / 'model.ckpt'))


def test_the_ready_rules_drop_what_optimizers_keep():
    assert ready_rules() == ['authors', 'slim-resnet-v1', 'slim-vgg-11', 'slim-vgg-19']
    for ready in ready_rules():
        rules = read_rules(ready)
        for name in ['global_step', 'beta1_power', 'train/beta2_power', 'a/W/Momentum', 'a/W/Adam',
                     'a/W/Adam_1', 'a/W/RMSProp', 'a/W/RMSProp_1', 'a/W/ExponentialMovingAverage']:
            assert apply_rules(rules, name)[1] is None, (ready, name)
        assert apply_rules(rules, 'a/W/Other')[0] is None
