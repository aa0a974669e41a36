# Three images. docs/docker.md says which one fits your card and driver.
#
#   docker build --target train -t ash-tf1:train .           TensorFlow 1.15.5, for Pascal to Turing
#   docker build --target train-ngc -t ash-tf1:train-ngc .   NVIDIA's TensorFlow 1.15.5, from Ampere on
#   docker build --target serve -t ash-tf1:serve .           onnxruntime, without TensorFlow
#
# DEVICE=cpu makes train and serve for machines without a GPU. Then their bases need no CUDA;
# compose.yaml has the arguments. Any base can be fixed by NAME@sha256:DIGEST, as Python's is.
ARG DEVICE=gpu
ARG TRAIN_BASE=tensorflow/tensorflow:1.15.5-gpu
# Compiles the native ops, on the Ubuntu version of TRAIN_BASE. CUDA 11 compiles for all cards from
# Pascal to Hopper, and its runtime works with drivers from 450 on.
ARG TRAIN_BUILD_BASE=nvidia/cuda:11.8.0-devel-ubuntu18.04
ARG NGC_BASE=nvcr.io/nvidia/tensorflow:23.03-tf1-py3
ARG NGC_BUILD_BASE=${NGC_BASE}
# Compiles the fused op of serve: with CUDA 12, like its onnxruntime, and with a C library that is
# not newer than that of SERVE_BASE.
ARG SERVE_BUILD_BASE=nvidia/cuda:12.9.1-devel-ubuntu22.04
ARG SERVE_BASE=python:3.12-slim-bookworm@sha256:54c85f3c47607a77f32adec749d3c81d1348bf25833671f512b26a9b6d778cb3


FROM scratch AS train-tools
COPY tools/_train_side.py tools/train.py tools/evaluate.py tools/export_onnx.py tools/convert.py \
     tools/import_checkpoint.py tools/save_images.py tools/summarize.py tools/measure_samples.py /tools/


FROM ${TRAIN_BUILD_BASE} AS train-build
ARG DEVICE
# NVIDIA's package lists may be signed by an expired key. Nothing is installed from them.
RUN rm -f /etc/apt/sources.list.d/cuda*.list /etc/apt/sources.list.d/nvidia-ml.list \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        g++ python3.7 python3.7-venv python3-distutils \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/ash
COPY requirements requirements
RUN if [ "$DEVICE" = cpu ]; then set=train; else set=train-gpu; fi \
 && python3.7 -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --require-hashes -r requirements/pip.txt \
 && /opt/venv/bin/pip install --no-cache-dir --require-hashes -r "requirements/$set.txt"
COPY ash_tf1 ash_tf1
COPY native native
RUN if [ "$DEVICE" = cpu ]; then /opt/venv/bin/python native/build.py; \
    else /opt/venv/bin/python native/build.py --cuda; fi


FROM ${TRAIN_BASE} AS train
LABEL org.opencontainers.image.title="ash-tf1 train" \
      org.opencontainers.image.description="ASH on TensorFlow 1.15.5: trains, evaluates, exports to ONNX" \
      org.opencontainers.image.licenses="Apache-2.0"
# There is no onnx 1.14 for Ubuntu 18.04's own Python 3.6. Its universe has 3.7. TensorFlow imports
# distutils, which is in a package for all Pythons of Ubuntu.
RUN rm -f /etc/apt/sources.list.d/cuda*.list /etc/apt/sources.list.d/nvidia-ml.list \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        python3.7 python3-distutils tini \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 ash \
 && install -d -o ash -g ash /runs /data
WORKDIR /opt/ash
COPY --from=train-build /opt/venv /opt/venv
COPY --from=train-build /opt/ash/ash_tf1 ash_tf1
COPY --from=train-tools /tools tools
COPY ash_distribution ash_distribution
# On many RTX cards cuDNN 7 fails to start for lack of memory unless TensorFlow's allocation grows.
# The cache keeps what the driver compiles for a card that is newer than the image.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 MPLCONFIGDIR=/tmp/matplotlib \
    TF_FORCE_GPU_ALLOW_GROWTH=true CUDA_CACHE_PATH=/runs/.cuda-cache CUDA_CACHE_MAXSIZE=4294967296
USER 1000
VOLUME ["/runs", "/data"]
ENTRYPOINT ["tini", "--"]
CMD ["python", "tools/train.py", "--help"]


FROM ${NGC_BUILD_BASE} AS train-ngc-build
WORKDIR /opt/ash
COPY requirements/train-ngc.txt requirements/
# Installed into a folder of its own, so that the base's packages stay unchanged. PIP_CONSTRAINT is
# the base's list of their versions.
RUN PIP_CONSTRAINT='' python3 -m pip install --no-cache-dir --no-deps --require-hashes \
        --target /opt/packages -r requirements/train-ngc.txt
ENV PYTHONPATH=/opt/packages
COPY ash_tf1 ash_tf1
COPY native native
# Built for the base's TensorFlow, which has not been tested. If it fails, ASH is made of graph ops,
# and says so.
RUN python3 native/build.py --cuda --if-possible


FROM ${NGC_BASE} AS train-ngc
LABEL org.opencontainers.image.title="ash-tf1 train-ngc" \
      org.opencontainers.image.description="ASH on NVIDIA's TensorFlow 1.15.5: trains, evaluates, exports to ONNX" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN test -x /opt/nvidia/nvidia_entrypoint.sh \
 && { command -v python || ln -s "$(command -v python3)" /usr/local/bin/python; } \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 ash \
 && install -d -o ash -g ash /runs /data
WORKDIR /opt/ash
COPY --from=train-ngc-build /opt/packages /opt/packages
COPY --from=train-ngc-build /opt/ash/ash_tf1 ash_tf1
COPY --from=train-tools /tools tools
COPY ash_distribution ash_distribution
ENV PYTHONPATH=/opt/packages PYTHONUNBUFFERED=1 MPLCONFIGDIR=/tmp/matplotlib \
    TF_FORCE_GPU_ALLOW_GROWTH=true CUDA_CACHE_PATH=/runs/.cuda-cache CUDA_CACHE_MAXSIZE=4294967296
USER 1000
VOLUME ["/runs", "/data"]
# The base's own entry point checks the driver, and adds the libraries that an older driver lacks.
ENTRYPOINT ["tini", "--", "/opt/nvidia/nvidia_entrypoint.sh"]
CMD ["python", "tools/train.py", "--help"]


FROM ${SERVE_BUILD_BASE} AS serve-op
ARG DEVICE
RUN rm -f /etc/apt/sources.list.d/cuda*.list /etc/apt/sources.list.d/nvidia-ml.list \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends g++ python3 \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/ash
COPY ash_onnx ash_onnx
COPY native native
RUN if [ "$DEVICE" = cpu ]; then python3 native/build.py --host onnxruntime; \
    else python3 native/build.py --host onnxruntime --cuda; fi


FROM ${SERVE_BASE} AS serve-build
ARG DEVICE
WORKDIR /opt/ash
COPY requirements/serving.txt requirements/serving-gpu.txt requirements/
RUN if [ "$DEVICE" = cpu ]; then set=serving; else set=serving-gpu; fi \
 && python -m venv --without-pip /opt/venv \
 && python -m pip --python /opt/venv/bin/python install --no-cache-dir --require-hashes \
        -r "requirements/$set.txt"


FROM ${SERVE_BASE} AS serve
LABEL org.opencontainers.image.title="ash-tf1 serve" \
      org.opencontainers.image.description="Serves, verifies and runs exported ASH nets under onnxruntime, without TensorFlow" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 ash \
 && install -d -o ash -g ash /runs /data
WORKDIR /opt/ash
COPY --from=serve-build /opt/venv /opt/venv
COPY --from=serve-op /opt/ash/ash_onnx ash_onnx
COPY ash_distribution ash_distribution
COPY tools/_serve_side.py tools/verify_onnx.py tools/predict.py tools/evaluate_onnx.py \
     tools/optimize.py tools/generate.py tools/serve.py tools/export_triton.py tools/
# What the endpoint says that it is, since the image holds no .git.
ARG COMMIT
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 ORT_DISABLE_TELEMETRY=1 ASH_COMMIT=$COMMIT \
    CUDA_CACHE_PATH=/runs/.cuda-cache CUDA_CACHE_MAXSIZE=4294967296
USER 1000
VOLUME ["/runs", "/data"]
EXPOSE 8080 8081
ENTRYPOINT ["tini", "--"]
CMD ["python", "tools/serve.py", "/model", "--host", "0.0.0.0"]
