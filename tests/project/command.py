"""tools/convert.py in this process, as TensorFlow's part of tests runs it: many times."""
import json
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'tools'))
import _train_side  # noqa: E402, F401
import convert  # noqa: E402


def run(folder, *arguments):
    """Runs the command, keeping from stdout and stderr what it and its child process say.

    Args:
      folder: where what it says is kept meanwhile.
      *arguments: those of the command.

    Returns:
      Dict: its exit `status`, `stderr`, and the `seconds` that it took.
    """
    sys.argv[0] = 'convert.py'
    start = time.monotonic()
    with tempfile.TemporaryFile(dir=str(folder)) as log, open(os.devnull, 'w') as nowhere:
        kept, out = os.dup(2), sys.stdout
        os.dup2(log.fileno(), 2)
        sys.stdout = nowhere
        try:
            status = convert.main(list(arguments))
        except BaseException as error:  # told by the test
            status = repr(error)
        finally:
            sys.stdout = out
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
        log.seek(0)
        stderr = log.read().decode('utf-8', 'replace')
    return dict(status=status, stderr=stderr, seconds=time.monotonic() - start)


if __name__ == '__main__':
    print(json.dumps(run(os.path.dirname(os.path.abspath(sys.argv[2])), *sys.argv[1:])))
