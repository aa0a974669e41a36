"""The README.md of an artifact: what its metadata say, for people who find the folder."""
import json

import onnx

_TITLES = (
    ('net', 'net'), ('net_options', 'its options'), ('activation', 'activation'),
    ('dataset', 'trained on'), ('latent', 'z'), ('training', 'training'),
    ('checkpoint', 'checkpoint'),
    ('checkpoint_sha256', 'SHA-256 of the checkpoint'),
    ('source_sha256', 'SHA-256 of the source'), ('preprocessing', 'preprocessing'),
    ('samples', 'test data'), ('tolerance', 'tolerance'), ('versions', 'made by'))
_TEXT = """# {title}

{kind}, converted from TensorFlow 1 by ash_tf1. `model.onnx` needs no TensorFlow.
`test_data_set_0` holds inputs and what TensorFlow answered to them: what onnxruntime, or any other
engine, answers can be held against that.

| | |
|---|---|
{rows}

{use}"""
_PIXELS = """Pixels are uint8 RGB, 0 to 255: the normalisation is in the graph. A photo is fitted to
height and width as `preprocessing` says. Class i is line i, from 0, of `labels.txt`.
"""
_LATENT = """An image is made of a row of z, which is drawn as the table says. Pixels are uint8 RGB.
"""
# What each kind of artifact is, by the last size of its first output, and how it is used.
_KINDS = {'generator': ('A generator of images', _LATENT),
          'image_classifier': ('An image classifier of {} classes', _PIXELS),
          'tensors': ('A graph of tensors', '')}


def text(properties, model):
    """The card of an artifact.

    Args:
      properties: its metadata, a dict of strings.
      model: the onnx.ModelProto.

    Returns:
      Markdown.
    """
    rows = [('input', _values(model.graph.input)), ('output', _values(model.graph.output))]
    rows += [(title, _told(properties[key])) for key, title in _TITLES
             if properties.get(key) not in (None, '', '[]')]
    rows += [('model version', properties.get('model_version', 'none')),
             ('licence', 'not recorded: ask who trained the net')]
    kind, use = _KINDS.get(properties.get('kind'), _KINDS['tensors'])
    last = model.graph.output[0].type.tensor_type.shape.dim[-1:]
    return _TEXT.format(title=_cell(properties['net']), use=use,
                        kind=kind.format(last[0].dim_value if last else 'no'),
                        rows='\n'.join('| {} | {} |'.format(title, _cell(value))
                                       for title, value in rows)).rstrip('\n') + '\n'


def _values(infos):
    shown = []
    for info in infos:
        tensor = info.type.tensor_type
        sizes = ', '.join(dim.dim_param or str(dim.dim_value) for dim in tensor.shape.dim)
        dtype = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        shown.append('{} {} [{}]'.format(info.name, dtype, sizes))
    return '; '.join(shown)


def _told(value):
    """JSON as words: its keys and values."""
    try:
        parsed = json.loads(value)
    except ValueError:
        return value
    if isinstance(parsed, dict):
        return ', '.join('{} {}'.format(name, item) for name, item in parsed.items())
    return ', '.join(map(str, parsed)) if isinstance(parsed, list) else value


def _cell(value):
    """Text for a cell of a table: names in a graph may hold anything."""
    line = ' '.join(''.join(mark if mark.isprintable() else ' ' for mark in value).split())
    return line.replace('|', '\\|').replace('<', '&lt;')
