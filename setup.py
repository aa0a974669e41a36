"""Two packages: ash_tf1 for TensorFlow 1.15 on Python 3.7, ash_onnx for any modern Python.

The markers keep TensorFlow away from Pythons that it has no release for. NVIDIA's TensorFlow 1
image, Python 3.8, brings its own, so that it is not asked for there either. The exact, hashed sets
that were tested together are in requirements/.

The native ops are built too, with ASH_CUDA=1 for the GPU as well: TensorFlow's where TensorFlow
1.15 may be, onnxruntime's on a modern Python. Where they cannot be, the package does without, and
says why when ASH is first used.
"""
import importlib.util
import os
import re
import sys
from pathlib import Path

from setuptools import Distribution, find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
VERSION = re.search(r"^__version__ = '(.+)'$", (HERE / 'ash_tf1' / '__init__.py').read_text(),
                    re.MULTILINE).group(1)
TF1 = "python_version < '3.9'"
STOCK_TF1 = "python_version < '3.8'"
MODERN = "python_version >= '3.10'"

# From 1.15.2 on tensorflow is for CPUs alone; tensorflow-gpu is for CUDA 10.0 too. Whoever converts
# has one of them.
TENSORFLOW = ['tensorflow~=1.15.0; ' + STOCK_TF1]
TENSORFLOW_GPU = ['tensorflow-gpu~=1.15.0; ' + STOCK_TF1]
TRAIN = [
    # No such version exists: on another Python pip stops, and its message has this line.
    "tensorflow==1.15.5+needs.python.3.7; python_version >= '3.9'",
    'protobuf<3.21; ' + TF1,
    'numpy<1.19; ' + STOCK_TF1,  # what TensorFlow 1.15 asks for; NVIDIA's brings another
    'tf-slim~=1.1.0; ' + TF1,
    'scipy; ' + TF1,
    'scikit-learn; ' + TF1,
    'matplotlib; ' + TF1,
]
CONVERT = ['tf2onnx~=1.16.0; ' + TF1, 'onnx~=1.14.0; ' + TF1]
SERVE = ['onnxruntime; ' + MODERN, 'onnx; ' + MODERN]
SERVE_GPU = ['onnxruntime-gpu; ' + MODERN, 'onnx; ' + MODERN]
DEV = ['pytest', 'pytest-timeout', 'ruff; ' + MODERN, 'import-linter; ' + MODERN, 'uv; ' + MODERN]

# What the native ops are built for on this Python; nothing on 3.9, which is of neither side.
NATIVE_HOST = ('tensorflow' if sys.version_info < (3, 9) else
               'onnxruntime' if sys.version_info >= (3, 10) else None)


class BuildWithNative(build_py):
    """The package's files, and the library of the native ops beside them."""

    def run(self):
        super().run()
        if not NATIVE_HOST:
            return
        spec = importlib.util.spec_from_file_location('build', str(HERE / 'native' / 'build.py'))
        native = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(native)
        package = native.HOSTS[NATIVE_HOST].package
        if not getattr(self, 'editable_mode', False):
            package = Path(self.build_lib) / package.relative_to(HERE)
        try:
            native.build(NATIVE_HOST, package, cuda=os.environ.get('ASH_CUDA') == '1')
        except native.BuildError as error:
            print('native ASH was not built: {}'.format(error))


class MaybeBinary(Distribution):
    """A wheel with a library is for one platform."""

    def has_ext_modules(self):
        return NATIVE_HOST is not None


setup(
    name='ash-tf1',
    version=VERSION,
    description='ASH (Adaptive SwisH) for TensorFlow 1.15, with export to ONNX',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['ash_tf1', 'ash_tf1.*', 'ash_onnx', 'ash_onnx.*']),
    cmdclass={'build_py': BuildWithNative},
    distclass=MaybeBinary,
    package_data={'ash_tf1.checkpoint_import.rules': ['*.txt']},
    python_requires='>=3.7',
    # opencv-python-headless is opencv-python without windows, which runs on servers too.
    install_requires=['numpy', 'opencv-python-headless', 'simplejpeg', 'tqdm'],
    extras_require={'train': TENSORFLOW + TRAIN, 'train-gpu': TENSORFLOW_GPU + TRAIN,
                    'convert': TRAIN + CONVERT, 'serve': SERVE,
                    'serve-gpu': SERVE_GPU, 'dev': DEV},
    classifiers=[
        'License :: OSI Approved :: Apache Software License',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
)
