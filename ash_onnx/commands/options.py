"""The options of the commands that run an artifact."""

from ash_onnx.session import PROVIDERS

FUSED = {'auto': 'auto', 'yes': True, 'no': False}  # --fused -> the argument of `load_artifact`


def add_model_arguments(parser):
    """Adds the arguments that `running.open_model` reads, and --json, to a parser."""
    parser.add_argument('artifact', help='artifact folder, or the model.onnx in it')
    parser.add_argument('--provider', choices=PROVIDERS, default='cpu',
                        help='execution provider; an error where it is not there, never another '
                             '(default: %(default)s)')
    parser.add_argument('--threads', type=int, metavar='N',
                        help='CPU threads within one operator (default: all cores)')
    parser.add_argument('--time-limit', type=float, default=600, metavar='SECONDS',
                        help='for one run of the model, of a batch (default: %(default)s)')
    parser.add_argument('--memory-limit', type=float, metavar='GB',
                        help='for the data of the process (default: three quarters of the memory '
                             'there is; none on a GPU)')
    parser.add_argument('--fused', choices=FUSED, default='auto',
                        help='whether each ASH runs as one fused op: auto is yes where the op is '
                             'built (default: %(default)s)')
    parser.add_argument('--json', action='store_true', help='write JSON to stdout')
