"""Functions that the commands which write an artifact share."""
import importlib
import json

from ash_tf1.commands.running import print_line


def needing_tf2onnx(name, package='ash_tf1.converting'):
    """Imports a module that needs tf2onnx. Training does not need the extra that has tf2onnx.

    Raises:
      ValueError: a package of the extra is missing.
    """
    try:
        return importlib.import_module('{}.{}'.format(package, name))
    except ImportError as error:
        raise ValueError('export needs the packages of the extra `convert`: {}'.format(
            error)) from error


def print_exported(result, as_json):
    """Prints one line about an `artifact.Exported`, or JSON."""
    if as_json:
        print(json.dumps(dict(result._asdict(), nodes=dict(result.nodes.most_common())), indent=2))
        return
    print_line('{}: {:.2f} MB, {} nodes ({}), {} examples in the test data set'.format(
        result.folder, result.size / 1e6, sum(result.nodes.values()),
        ', '.join('{} {}'.format(count, op) for op, count in result.nodes.most_common()),
        result.samples))
