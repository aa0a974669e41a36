"""Opens an onnxruntime session that runs on the execution provider asked for, or not at all.

onnxruntime hides a missing accelerator in four ways, each of which is an error here:

- The wheel was built without the provider: `get_available_providers` lacks it.
- Its CUDA libraries cannot be loaded: the provider is dropped with a log line, and
  `session.get_providers` lacks it.
- Creating or running the session fails inside the provider: the Python class prints a line and
  starts again on the CPU, unless it is made with `enable_fallback=0`.
- The provider has no kernel for some node: that node alone runs on the CPU.

For the last one onnxruntime has the option `session.disable_cpu_ep_fallback`, which is not used:
it refuses a session with *any* node on the CPU, and onnxruntime puts the arithmetic on shapes
(Shape, Gather, Concat before a Reshape) there on purpose, because a GPU would have to hand the
result back anyway. A net with a dynamic batch has such nodes and is perfectly well placed.
Instead, one image is run under onnxruntime's profiler when the session opens, and the session is
refused where a node that handles image data (floating point, rank >= 2) ran on the CPU. The
profiler is off again after that image. For TensorRT the same run builds the engine.
"""

import contextlib
import io
import json
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

PROVIDERS = ('cpu', 'cuda', 'tensorrt')
MAX_THREADS = 1024  # more than processors have; onnxruntime starts any number

_CPU = 'CPUExecutionProvider'
_CUDA = 'CUDAExecutionProvider'
_TENSORRT = 'TensorrtExecutionProvider'
_NAMES = {'cpu': [_CPU], 'cuda': [_CUDA, _CPU], 'tensorrt': [_TENSORRT, _CUDA, _CPU]}
_INSTALL = {
    'cpu': 'install onnxruntime',
    'cuda': 'install "onnxruntime-gpu[cuda,cudnn]" in place of onnxruntime (the two overwrite '
            'each other) and an NVIDIA driver',
    'tensorrt': 'install "onnxruntime-gpu[cuda,cudnn]" in place of onnxruntime (the two overwrite '
                'each other), an NVIDIA driver and TensorRT 10 on the library path',
}
# The types of arrays that onnxruntime exchanges, by the names that it gives them.
_DTYPES = {f'tensor({name})': np.dtype(dtype) for name, dtype in (
    ('float16', 'f2'), ('float', 'f4'), ('double', 'f8'), ('bool', '?'), ('string', object),
    ('int8', 'i1'), ('int16', 'i2'), ('int32', 'i4'), ('int64', 'i8'),
    ('uint8', 'u1'), ('uint16', 'u2'), ('uint32', 'u4'), ('uint64', 'u8'))}
_FLOATS = ('float', 'float16', 'bfloat16', 'double')


class TimeLimitReached(ValueError):  # noqa: N818  what happened; the ValueError says how it ended
    """A run was stopped by its time limit."""


@dataclass(frozen=True)
class Value:
    """An input or output of a session.

    Attributes:
      name: a string.
      dtype: a `numpy.dtype`; that of objects for `str`.
      shape: tuple of sizes, None for one that is open.
    """

    name: str
    dtype: np.dtype
    shape: tuple


def open_session(model, provider, probe, threads=None, tf32=False, library=None,
                 optimize=True):
    """Opens a model on an execution provider.

    Float32 stays float32: `cuda` multiplies in TensorFloat-32 by default, which is switched off
    here unless `tf32` is True, since an answer has to match the one that was tested. TensorRT has
    no such switch in onnxruntime; set NVIDIA_TF32_OVERRIDE=0 in the environment for it.

    Args:
      model: bytes of an ONNX file.
      provider: one of `PROVIDERS`.
      probe: dict input name -> array, the smallest valid input, which shows where the nodes run;
        not run for `cpu`.
      threads: CPU threads within one operator, 1 to `MAX_THREADS`; None leaves it to onnxruntime.
      tf32: lets `cuda` compute in TensorFloat-32.
      library: path of a library of custom ops that the model needs, or None.
      optimize: whether onnxruntime optimises the graph; False for one that it has optimised.

    Returns:
      An `onnxruntime.InferenceSession`.

    Raises:
      ValueError: an unknown provider, one that is not there or does not take the model, a wrong
        number of threads, or a model that onnxruntime refuses.
    """
    if provider not in PROVIDERS:
        raise ValueError(f'unknown provider {provider!r}, expected one of {", ".join(PROVIDERS)}')
    if threads is not None and (type(threads) is not int or not 1 <= threads <= MAX_THREADS):
        raise ValueError(f'threads must be an integer from 1 to {MAX_THREADS}, got {threads!r}')
    wanted = _NAMES[provider][0]
    available = onnxruntime.get_available_providers()
    if wanted not in available:
        raise ValueError(f'provider {provider!r} is not in this onnxruntime '
                         f'{onnxruntime.__version__}, which has {", ".join(available)}; '
                         + _INSTALL[provider])
    problems = '' if provider == 'cpu' else _preload_cuda_libraries()
    hint = '' if provider == 'cpu' else f'; {_INSTALL[provider]}{problems}'
    with tempfile.TemporaryDirectory(prefix='ash-onnx-') as scratch:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        if not optimize:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4  # what matters is raised; the log would repeat it
        options.enable_profiling = provider != 'cpu'
        options.profile_file_prefix = str(Path(scratch) / 'profile')
        settings = [{'use_tf32': str(int(tf32))} if name == _CUDA else {}
                    for name in _NAMES[provider]]
        try:
            if library is not None:
                options.register_custom_ops_library(str(library))
            session = onnxruntime.InferenceSession(
                model, options, providers=_NAMES[provider], provider_options=settings,
                enable_fallback=0)
            started = session.get_providers()[0]
            if started == wanted and provider != 'cpu':
                session.run(None, probe)
                profile = Path(session.end_profiling()).read_text(encoding='utf-8')
        except Exception as error:  # onnxruntime raises a dozen types with no public base
            raise ValueError(f'onnxruntime cannot run it with provider {provider!r}: '
                             f'{error}{hint}') from error
    if started != wanted:
        raise ValueError(f'provider {provider!r} did not start, onnxruntime would run on '
                         f'{started}{hint}')
    if provider != 'cpu':
        check_placement(json.loads(profile), provider)
    return session


def run_session(session, outputs, feeds, time_limit=None, overdue=None):
    """Runs a session; safe to call from several threads.

    Args:
      session: as from `open_session`.
      outputs: names of the outputs.
      feeds: dict input name -> array.
      time_limit: seconds after which onnxruntime stops before the next node, a loop's too; None
        for none.
      overdue: called, from another thread, where it has not stopped after as long again: a node
        cannot be stopped. None to wait for it.

    Returns:
      A list of arrays.

    Raises:
      ValueError: onnxruntime's error.
      TimeLimitReached: the time is over.
    """
    options = onnxruntime.RunOptions()
    options.log_severity_level = 4
    done = threading.Event()

    def stop():
        options.terminate = True
        if overdue and not done.wait(time_limit):
            overdue()

    timer = threading.Timer(time_limit or 0, stop)
    if time_limit is not None:
        timer.daemon = True
        timer.start()
    try:
        return session.run(outputs, feeds, options)
    except Exception as error:  # onnxruntime raises a dozen types with no public base
        if options.terminate:
            raise TimeLimitReached(f'a run takes more than {time_limit:g} seconds: give it more by '
                                   '--time-limit, or fewer images') from error
        raise ValueError(' '.join(str(error).split())) from error
    finally:
        done.set()
        timer.cancel()


def session_values(session, names):
    """(inputs, outputs) of a session: tuples of `Value`.

    Args:
      session: as from `open_session`.
      names: (names of the inputs, names of the outputs), which give the order.
    """
    found = [{value.name: value for value in values}
             for values in (session.get_inputs(), session.get_outputs())]
    return tuple(tuple(Value(name, _DTYPES[values[name].type],
                             tuple(size if isinstance(size, int) else None
                                   for size in values[name].shape)) for name in ordered)
                 for values, ordered in zip(found, names, strict=True))


def check_placement(events, provider):
    """Checks in a profile that the provider did the work; see the top of this file.

    Args:
      events: list of dicts, a profile as onnxruntime writes it.
      provider: `cuda` or `tensorrt`.

    Raises:
      ValueError: no node ran on the provider, or nodes with image data ran on the CPU.
    """
    nodes = [event['args'] for event in events
             if event.get('cat') == 'Node' and 'provider' in event.get('args', {})]
    if _NAMES[provider][0] not in {node['provider'] for node in nodes}:
        raise ValueError(f'provider {provider!r} took none of the model\'s nodes')
    strays = sorted({node['op_name'] for node in nodes
                     if node['provider'] == _CPU and _handles_image_data(node)})
    if strays:
        raise ValueError(f'provider {provider!r} leaves these ops to the CPU: '
                         f'{", ".join(strays)}; use another provider or onnxruntime version')


def _handles_image_data(node):
    return any(dtype in _FLOATS and len(shape) >= 2
               for output in node.get('output_type_shape', ())
               for dtype, shape in output.items())


def _preload_cuda_libraries():
    """Loads the CUDA libraries that pip installed; returns what it could not, for a message."""
    preload = getattr(onnxruntime, 'preload_dlls', None)
    if preload is None:  # onnxruntime before 1.21 takes them from the library path alone
        return ''
    # It reports on stdout, where it would spoil a command's JSON.
    with contextlib.redirect_stdout(io.StringIO()) as report:
        preload()
    lines = report.getvalue().splitlines()
    failure = next((line for line in lines if line.startswith('Failed to load')), '')
    return failure and f' ({failure})'
