"""What the commands that write an artifact have in common."""
import importlib


def needing_tf2onnx(name, package='ash_tf1.converting'):
    """A module that needs tf2onnx, which belongs to an extra that training does without."""
    try:
        return importlib.import_module('{}.{}'.format(package, name))
    except ImportError as error:
        raise ValueError('export needs the packages of the extra `convert`: {}'.format(
            error)) from error


def print_exported(result):
    """Prints what an `artifact.Exported` is."""
    print('{}: {:.2f} MB, {} nodes ({}), {} examples in the test data set'.format(
        result.folder, result.size / 1e6, sum(result.nodes.values()),
        ', '.join('{} {}'.format(count, op) for op, count in result.nodes.most_common()),
        result.samples))
