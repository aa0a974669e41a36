# The TensorFlow 1 side on CUDA 10.0, for cards up to Turing:
#
#   docker build -t ash-tf1 .
#   mkdir -p runs
#   docker run --rm --gpus all --user "$(id -u):$(id -g)" -v "$PWD/runs:/runs" ash-tf1 \
#       python tools/train.py --recipe digits --run-dir /runs/digits
#
# The base is Ubuntu 18.04 with CUDA 10.0 and cuDNN 7; its own Python is too old, so that Python 3.7
# comes from Ubuntu's universe, and TensorFlow from the same lock as on a bare machine.
ARG BASE=tensorflow/tensorflow:1.15.5-gpu
# What compiles the native ops; any CUDA from 10 to 13 whose runtime the driver knows does, on the
# Ubuntu of the base.
ARG BUILD_BASE=nvidia/cuda:11.4.3-devel-ubuntu18.04

FROM ${BUILD_BASE} AS build
# NVIDIA's package lists may be signed by a key that has expired; nothing of theirs is installed here.
RUN rm -f /etc/apt/sources.list.d/cuda*.list /etc/apt/sources.list.d/nvidia-ml.list \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        g++ python3.7 python3.7-venv \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/ash
COPY requirements/train.txt requirements/
# Ubuntu 18.04 brings pip 9, which knows no manylinux2010 wheel; 24.0 is the last for Python 3.7.
RUN python3.7 -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir pip==24.0 \
 && /opt/venv/bin/pip install --no-cache-dir --require-hashes -r requirements/train.txt
COPY ash_tf1 ash_tf1
COPY native native
RUN /opt/venv/bin/python native/build.py --cuda

FROM ${BASE}
RUN rm -f /etc/apt/sources.list.d/cuda.list /etc/apt/sources.list.d/nvidia-ml.list \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        python3.7 tini \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/ash
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH MPLCONFIGDIR=/tmp/matplotlib
# Stock TensorFlow 1.15.5 is one package for CPU and GPU: the locked wheel finds the image's CUDA.
COPY --from=build /opt/ash/ash_tf1 ash_tf1
COPY tools tools

RUN useradd --create-home --uid 1000 ash && mkdir /runs /data && chown ash /runs /data
USER ash
VOLUME ["/runs", "/data"]
ENTRYPOINT ["tini", "--"]
CMD ["python", "tools/train.py", "--help"]
