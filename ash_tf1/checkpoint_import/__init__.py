"""Importing old checkpoints under the names of today's nets.

`rules` says what becomes what, `importing` does it, and `writing` puts the result in a folder.
"""
from ash_tf1.checkpoint_import.importing import Report, Target, import_checkpoint

__all__ = ['Report', 'Target', 'import_checkpoint']
