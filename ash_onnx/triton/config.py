"""The text of a model's config.pbtxt; Triton's model_config.proto says what the fields mean."""

from dataclasses import dataclass

from ash_onnx.protocol import NAMES

CPU, CUDA, TENSORRT = 'cpu', 'cuda', 'tensorrt'


@dataclass(frozen=True)
class Options:
    """How Triton runs the models that are written.

    Attributes:
      provider: `cpu`, `cuda` or `tensorrt`.
      max_batch: the largest batch.
      instances: sessions of a model that run at the same time, on each GPU where there are some.
      threads: CPU threads within one operator.

    Raises:
      ValueError: a value of another type or range.
    """

    provider: str = CPU
    max_batch: int = 64
    instances: int = 1
    threads: int = 1

    def __post_init__(self):
        if self.provider not in (CPU, CUDA, TENSORRT):
            raise ValueError(f'provider must be {CPU}, {CUDA} or {TENSORRT}, got '
                             f'{self.provider!r}')
        for name, most in (('max_batch', 10**6), ('instances', 1024), ('threads', 1024)):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= most:
                raise ValueError(f'{name} must be an integer from 1 to {most}, got {value!r}')


def onnx_config(name, values, options, probe=None, batched=True, labels_of=(), library=None):
    """The config of a model for Triton's onnxruntime backend.

    Args:
      name: of the model.
      values: (inputs, outputs), as `Artifact.values`.
      options: the `Options`.
      probe: dict input name -> shape of one example without its batch, for the warm-up; None for
        no warm-up.
      batched: whether the first size of each is the batch.
      labels_of: names of the outputs whose entries have labels.
      library: path of the library of custom ops, for Triton, or None.
    """
    batch = options.max_batch if batched else 0
    lines = [f'name: {_quoted(name)}', 'platform: "onnxruntime_onnx"', f'max_batch_size: {batch}']
    for field, group in zip(('input', 'output'), values, strict=True):
        lines += [tensor(field, value.name, type_name(value.dtype),
                         value.shape[1:] if batched else value.shape,
                         LABELS_FILE if value.name in labels_of else None) for value in group]
    if options.provider == CPU:
        lines.append(f'instance_group [{{ kind: KIND_CPU count: {options.instances} }}]')
    else:
        # On a CPU it gains nothing, and its window costs latency.
        lines += ['dynamic_batching { }'] * batched
        lines.append(f'instance_group [{{ kind: KIND_GPU count: {options.instances} }}]')
    if options.provider == TENSORRT:
        lines.append('optimization { execution_accelerators { gpu_execution_accelerator ['
                     '{ name: "tensorrt" parameters { key: "precision_mode" value: "FP32" } }] } }')
    lines.append(VERSION_POLICY)
    lines.append('parameters { key: "intra_op_thread_count" value { string_value: '
                 f'"{options.threads}" }} }}')
    if library is not None:
        lines.append(f'model_operations {{ op_library_filename: {_quoted(library)} }}')
    if probe is not None:
        lines.append(_warm_up(values[0], probe, batched))
    return '\n'.join(lines) + '\n'


LABELS_FILE = 'labels.txt'
VERSION_POLICY = 'version_policy { latest { num_versions: 1 } }'


def tensor(field, name, kind, dims, labels=None):
    """One line for an input or output."""
    # Triton has no tensor without dims.
    reshape = '' if dims else ' reshape { shape: [ ] }'
    sizes = ', '.join('-1' if size is None else str(size) for size in dims or [1])
    file = f' label_filename: {_quoted(labels)}' if labels else ''
    return (f'{field} [{{ name: {_quoted(name)} data_type: {kind} dims: [ {sizes} ]{reshape}'
            f'{file} }}]')


def type_name(dtype):
    """The name that Triton's configs have for a dtype."""
    name = NAMES[dtype]
    return 'TYPE_STRING' if name == 'BYTES' else f'TYPE_{name}'


def _warm_up(inputs, probe, batched):
    parts = []
    for value in inputs:
        dims = ', '.join(map(str, probe[value.name] or [1]))
        parts.append(f'inputs {{ key: {_quoted(value.name)} value {{ data_type: '
                     f'{type_name(value.dtype)} dims: [ {dims} ] zero_data: true }} }}')
    return (f'model_warmup [{{ name: "one" batch_size: {int(batched)} {" ".join(parts)} }}]')


def _quoted(text):
    escaped = text.replace('\\', '\\\\').replace('"', '\\"').replace('\n', '\\n')
    return f'"{escaped}"'
