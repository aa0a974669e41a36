"""python -m ash_onnx COMMAND: the commands of tools/, by name."""
import os
import sys

from ash_distribution.commands import SERVE

if __name__ == '__main__':
    if 'ORT_DISABLE_TELEMETRY' not in os.environ and os.name == 'posix':
        # Python has imported the package, and so onnxruntime, which reads this as it is imported.
        os.environ['ORT_DISABLE_TELEMETRY'] = '1'
        os.execv(sys.executable, sys.orig_argv)
    sys.exit(SERVE.run_subcommand())
