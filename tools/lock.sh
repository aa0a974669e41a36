#!/bin/sh
# Renews the locked, hashed requirements from their .in files. Called by `make lock`.
set -eu
cd "$(dirname "$0")/../requirements"

lock() { # SET, OPTION...
    set=$1; shift
    echo "$set.txt"
    ../.venv/serve/bin/uv pip compile -q --no-header --generate-hashes --upgrade "$@" \
        "$set.in" -o "$set.txt"
}

train='--python-platform x86_64-manylinux2014 --python-version'
# shellcheck disable=SC2086  # $train is several options
{
    lock pip $train 3.7
    lock train $train 3.7
    lock train-gpu $train 3.7 -c train.txt
    lock train-dev $train 3.7 -c train.txt
    lock train-ngc $train 3.8 -c train.txt --no-emit-package numpy
}
lock serve --universal --python-version 3.10
lock dev --universal --python-version 3.10
lock serve-gpu --universal --python-version 3.11
lock serving --universal --python-version 3.10
lock serving-gpu --universal --python-version 3.11
lock serving-dev --universal --python-version 3.10 -c serving.txt
lock triton --python-platform x86_64-manylinux_2_35 --python-version 3.11
