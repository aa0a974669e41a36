#!/bin/sh
# Makes an environment, .venv/train, .venv/serve or .venv/serving, from its locked, hashed set.
#
#   tools/setup_env.sh train|serve|serving|triton
#
# serving is the endpoint, with its tests; triton a server of NVIDIA's that only those tests use.
# CUDA=1 installs the TensorFlow for GPUs, which needs CUDA 10.0 and cuDNN 7. An environment that
# has it keeps it until `make clean`. TRAIN_PYTHON and SERVE_PYTHON choose the interpreter. If uv
# is installed, it is used because it is faster than pip; the result is the same.
set -eu
cd "$(dirname "$0")/.."

runs() { # TEST, PYTHON: whether PYTHON starts (a pyenv shim may not), passes TEST, can make a venv
    "$2" -c "import sys, ensurepip; sys.exit(not ($1))" >/dev/null 2>&1
}

first_running() { # TEST, PYTHON...: prints the first PYTHON for which `runs` is true
    test=$1; shift
    for python; do
        if runs "$test" "$python"; then "$python" -c 'import sys; print(sys.executable)'; return; fi
    done
    return 1
}

find_train_python() {
    test='sys.version_info[:2] == (3, 7)'
    if [ -n "${TRAIN_PYTHON:-}" ]; then
        runs "$test" "$TRAIN_PYTHON" && echo "$TRAIN_PYTHON" && return
        echo "TRAIN_PYTHON=$TRAIN_PYTHON does not run, or is not Python 3.7." >&2; return 1
    fi
    first_running "$test" python3.7 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.7.*/bin/python3.7 \
        && return
    if command -v uv >/dev/null 2>&1; then
        uv python find 3.7 2>/dev/null && return
        uv python install 3.7 >/dev/null 2>&1 && uv python find 3.7 && return
    fi
    cat >&2 <<'END'
TensorFlow 1.15 needs Python 3.7, and none was found. Any one of these gives it:
    uv python install 3.7        (https://docs.astral.sh/uv)
    pyenv install 3.7            (https://github.com/pyenv/pyenv)
    apt-get install python3.7 python3.7-venv        (Ubuntu 18.04, or the deadsnakes PPA)
    make ... TRAIN_PYTHON=/path/to/python3.7
The Docker images bring their own: see docs/docker.md.
END
    return 1
}

find_serving_python() { # KServe takes none newer
    find_serve_python 'sys.version_info[:2] < (3, 14)' '>=3.10,<3.14'
}

find_triton_python() { # numpy 1.26, which its server needs, has no wheels for newer ones
    find_serve_python '(3, 11) <= sys.version_info[:2] < (3, 13)' '>=3.11,<3.13'
}

find_serve_python() { # TEST, RANGE: what its version has to be beyond 3.10, for it and for uv
    test="sys.version_info >= (3, 10) and (${1:-True})"
    if [ -n "${SERVE_PYTHON:-}" ]; then
        runs "$test" "$SERVE_PYTHON" && echo "$SERVE_PYTHON" && return
        echo "SERVE_PYTHON=$SERVE_PYTHON does not run, or is not Python ${2:->=3.10}." >&2; return 1
    fi
    first_running "$test" python3 python3.14 python3.13 python3.12 python3.11 python3.10 \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[0-9].*/bin/python3 && return
    if command -v uv >/dev/null 2>&1; then
        uv python find "${2:->=3.10}" 2>/dev/null && return
    fi
    echo "The modern side needs Python ${2:->=3.10} that can make virtual environments" >&2
    echo '(on Debian and Ubuntu: apt-get install python3 python3-venv), or SERVE_PYTHON=...' >&2
    return 1
}

# The stamp is a copy of the locks that the environment was made from. If a lock has changed, the
# environment is made again.
env=.venv/${1:-}
stamp=$env/.made-from
made_from() { # LOCK...: whether the environment was made from these locks, and its Python starts
    (cd requirements && cat "$@") | cmp -s - "$stamp" && "$env/bin/python" -c '' 2>/dev/null
}

case "${1:-}" in
    train)
        if [ "${CUDA:-0}" != 0 ] || grep -qs '^tensorflow-gpu==' "$stamp"; then
            locks='train-gpu.txt train-dev.txt'
        else
            locks='train.txt train-dev.txt'
        fi ;;
    serve) locks=dev.txt ;;
    serving) locks='serving.txt serving-dev.txt' ;;
    triton) locks=triton.txt ;;
    *) echo "usage: tools/setup_env.sh train|serve|serving|triton" >&2; exit 2 ;;
esac

# shellcheck disable=SC2086  # the names of locks have no spaces
if made_from $locks; then
    exit 0
fi
python=$(find_"$1"_python)
echo "setting up $env with $python"
rm -rf "$env"
set -- # from here on "$@" are the arguments of the installer: -r LOCK...
for lock in $locks; do set -- "$@" -r "requirements/$lock"; done
if command -v uv >/dev/null 2>&1; then
    uv venv -q --python "$python" "$env"
    uv pip install -q --python "$env/bin/python" --require-hashes "$@"
else
    "$python" -m venv "$env"
    "$env/bin/python" -m pip install -q --disable-pip-version-check --require-hashes "$@"
fi
# shellcheck disable=SC2086
(cd requirements && cat $locks) > "$stamp"
