"""The README.md of a Triton model repository."""

from ash_onnx.triton.config import CPU

IMAGE = 'nvcr.io/nvidia/tritonserver:24.10-py3'
_TEMPLATE = """\
# A model repository for Triton

Written by `tools/export_triton.py`. Models:

{models}

One line starts it, in this folder:

    {run}

Then HTTP is on localhost:8000, gRPC on localhost:8001, and metrics are on localhost:8002/metrics:

    curl localhost:8000/v2/health/ready
    curl localhost:8000/v2/models/{first}

- Triton has no TLS and no users here, and lets whoever reaches it register shared memory: put a
  proxy in front, and publish the ports on 127.0.0.1 or a private network, as the line does.
- After SIGTERM it serves on for up to `--exit-timeout-secs`, until what is in flight is answered.
  Take it out of the load balancer first.
{notes}- A new version is a new folder, `MODEL/2`; Triton loads the latest when it starts.
"""
_DECODING = """\
- `NAME_image` takes JPEG and PNG files. Its step `NAME_decode` needs the Python packages of
  requirements.txt, which the line installs when the container starts. An image of your own that
  has them starts without a network.
"""
_GPU = """\
- `NVIDIA_TF32_OVERRIDE=0` keeps float32 as float32: Triton's onnxruntime backend has no other
  switch for it.
"""


def make_readme(names, options, mount, decoding):
    """The text.

    Args:
      names: of the models.
      options: the `config.Options`.
      mount: where the container sees the repository.
      decoding: whether there are models that decode images.
    """
    server = f'tritonserver --model-repository={mount} --exit-timeout-secs=20'
    if decoding:
        server = f"sh -c 'pip install -q -r {mount}/requirements.txt && exec {server}'"
    gpu = '' if options.provider == CPU else '--gpus all -e NVIDIA_TF32_OVERRIDE=0 '
    run = (f'docker run --rm {gpu}--shm-size=256m -p 127.0.0.1:8000-8002:8000-8002 '
           f'-v "$PWD:{mount}:ro" {IMAGE} {server}')
    notes = (_DECODING if decoding else '') + ('' if options.provider == CPU else _GPU)
    return _TEMPLATE.format(models='\n'.join(f'- `{name}`' for name in names), run=run,
                            first=names[0], notes=notes)
