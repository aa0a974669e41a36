#!/usr/bin/env python
"""Puts the page, onnxruntime-web and an artifact into one folder, for any web server.

    python web/build.py checkpoints/NAME runs/web
"""

import argparse
import json
import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'tools'))
import _serve_side  # noqa: E402, F401

from ash_onnx import load_model  # noqa: E402
from ash_onnx.commands.running import OK, run  # noqa: E402

LIBRARY = HERE / 'node_modules/onnxruntime-web/dist'
PARTS = ('ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm')


def build(args):
    """Writes the folder; returns 0."""
    model = load_model(args.artifact, fused=False)
    if not LIBRARY.is_dir():
        raise FileNotFoundError(f'{LIBRARY}: run `npm ci` in web/, as `make web` does')
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        shutil.copy(LIBRARY / part, out)
    for name in ('classifier.mjs', 'page.mjs'):
        shutil.copy(HERE / name, out)
    shutil.copy(model.path, out / 'model.onnx')
    (out / 'model.json').write_text(json.dumps({
        'name': model.folder.resolve().name, 'net': model.metadata['net'],
        'labels': model.labels, 'input_shape': model.input_shape,
        'preprocessing': model.metadata.get('preprocessing', {})}, indent=2) + '\n')
    # The looks are those of the endpoint's page.
    page = (HERE.parent / 'ash_onnx/serving/page.html').read_text(encoding='utf-8')
    style = re.search('<style>.*?</style>', page, re.DOTALL).group()
    index = (HERE / 'index.html').read_text(encoding='utf-8')
    (out / 'index.html').write_text(index.replace('<style></style>', style), encoding='utf-8')
    return OK


def main(argv=None):
    """Parses argv and builds; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('artifact', help='artifact folder of an image classifier')
    parser.add_argument('out', help='folder to write')
    return run(parser, build, argv)


if __name__ == '__main__':
    sys.exit(main())
