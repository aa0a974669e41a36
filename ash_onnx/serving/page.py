"""The page at /: a person drops an image on it, and sees the answer and the request."""

import base64
import hashlib
import re
from pathlib import Path

import orjson

from ash_onnx.protocol import image_name

_TEMPLATE = (Path(__file__).parent / 'page.html').read_text(encoding='utf-8')


def _hashes(tag):
    """What a Content-Security-Policy calls the elements of the page that may run or style it."""
    return ' '.join("'sha256-{}'".format(base64.b64encode(
        hashlib.sha256(text.encode()).digest()).decode())
        for text in re.findall(f'<{tag}>(.*?)</{tag}>', _TEMPLATE, re.DOTALL))


SECURITY_HEADERS = {
    'content-security-policy': f"default-src 'none'; script-src {_hashes('script')}; style-src "
                               f"{_hashes('style')}; img-src data: blob:; connect-src 'self'; "
                               "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer',
    'cache-control': 'no-cache'}


def make_page(dataplane):
    """The HTML of the page, bytes.

    Args:
      dataplane: the `GuardedDataPlane`, whose models, name and version it shows.
    """
    models = dataplane.models
    shown = [{'name': name, 'version': model.version, 'kind': model.artifact.kind,
              'net': model.artifact.metadata.get('net', ''), 'form': str(model.artifact.form),
              'provider': model.artifact.provider, 'image': models.get(image_name(name)) and
              image_name(name), 'inputs': model.get_input_types(),
              'outputs': model.get_output_types()}
             for name, model in models.items() if name == model.artifact.folder.resolve().name]
    facts = orjson.dumps({'version': dataplane.metadata()['version'], 'models': shown}).decode()
    # In a script element nothing but the end of it, and comments, begin with '<'.
    return _TEMPLATE.replace('{"facts": null}', facts.replace('<', '\\u003c')).encode()
