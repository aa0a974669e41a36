"""Two packages: ash_tf1 for TensorFlow 1.15 on Python 3.7, ash_onnx for Python 3.10 or newer.
Beside them, ash_distribution starts the commands of both.

TensorFlow 1.15 is required only on the Pythons that it has releases for. It is not required on
Python 3.8 either: that is the Python of NVIDIA's TensorFlow 1 image, which has its own TensorFlow.
The exact, hashed versions that were tested together are in requirements/.

The native ops are built too, and for the GPU as well if ASH_CUDA=1: those for TensorFlow on a
Python below 3.9, those for onnxruntime from 3.10 on. If they cannot be built, the package works
without them, and says why when ASH is first used.
"""
import importlib.util
import os
import re
import sys
from pathlib import Path

from setuptools import Distribution, find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
VERSION = re.search(r"^__version__ = '(.+)'$",
                    (HERE / 'ash_distribution' / '__init__.py').read_text(),
                    re.MULTILINE).group(1)
# The commands: ash_distribution.commands.main finds out which one was called.
COMMANDS = ['train', 'evaluate', 'export', 'convert', 'import-checkpoint', 'save-images',
            'summarize', 'measure-samples', 'verify', 'predict', 'evaluate-onnx', 'generate',
            'optimize', 'export-triton', 'serve']
TF1 = "python_version < '3.9'"
STOCK_TF1 = "python_version < '3.8'"
MODERN = "python_version >= '3.10'"

# From 1.15.2 on the package tensorflow is for CPUs only; tensorflow-gpu is for CUDA 10.0 too. The
# extra `convert` requires neither, since it is installed beside one of them.
TENSORFLOW = ['tensorflow~=1.15.0; ' + STOCK_TF1]
TENSORFLOW_GPU = ['tensorflow-gpu~=1.15.0; ' + STOCK_TF1]
TRAIN = [
    # There is no such version. So pip stops on other Pythons, and its message shows this line.
    "tensorflow==1.15.5+needs.python.3.7; python_version >= '3.9'",
    'protobuf<3.21; ' + TF1,
    'numpy<1.19; ' + STOCK_TF1,  # required by TensorFlow 1.15; NVIDIA's image has another numpy
    'tf-slim~=1.1.0; ' + TF1,
    'scipy; ' + TF1,
    'scikit-learn; ' + TF1,
    'matplotlib; ' + TF1,
    "importlib-metadata; python_version < '3.8'",
]
CONVERT = ['tf2onnx~=1.16.0; ' + TF1, 'onnx~=1.14.0; ' + TF1]
SERVE = ['onnxruntime; ' + MODERN, 'onnx; ' + MODERN]
# The last for CUDA 12, and the last cuDNN for Pascal and Volta: docs/docker.md says why.
SERVE_GPU = ['onnxruntime-gpu[cuda,cudnn]<1.27; ' + MODERN, 'nvidia-cudnn-cu12<9.11; ' + MODERN,
             'onnx; ' + MODERN]
SERVING = ["kserve==0.21.0; python_version >= '3.10' and python_version < '3.14'"]
DEV = ['pytest', 'pytest-timeout', 'ruff; ' + MODERN, 'import-linter; ' + MODERN, 'uv; ' + MODERN]

# What the native ops are built for on this Python. Python 3.9 belongs to neither side.
NATIVE_HOST = ('tensorflow' if sys.version_info < (3, 9) else
               'onnxruntime' if sys.version_info >= (3, 10) else None)


class BuildWithNative(build_py):
    """Copies the package's files, and builds the library of the native ops beside them."""

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
    """Marks the wheel as one for this platform, because it has a library."""

    def has_ext_modules(self):
        return NATIVE_HOST is not None


setup(
    name='ash-tf1',
    version=VERSION,
    description='ASH (Adaptive SwisH) for TensorFlow 1.15, with export to ONNX',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['ash_tf1', 'ash_tf1.*', 'ash_onnx', 'ash_onnx.*',
                                    'ash_distribution']),
    entry_points={'console_scripts': ['ash-{} = ash_distribution.commands:main'.format(name)
                                      for name in COMMANDS]},
    cmdclass={'build_py': BuildWithNative},
    distclass=MaybeBinary,
    package_data={'ash_tf1.checkpoint_import.rules': ['*.txt'], 'ash_onnx.serving': ['*.html']},
    python_requires='>=3.7',
    # opencv-python-headless has no windows, so it needs no display and runs on servers too.
    install_requires=['numpy', 'opencv-python-headless', 'shtab', 'simplejpeg', 'tqdm'],
    extras_require={'train': TENSORFLOW + TRAIN, 'train-gpu': TENSORFLOW_GPU + TRAIN,
                    'convert': TRAIN + CONVERT, 'serve': SERVE,
                    'serve-gpu': SERVE_GPU, 'serving': SERVE + SERVING, 'dev': DEV},
    classifiers=[
        'License :: OSI Approved :: Apache Software License',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
)
