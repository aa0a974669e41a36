"""Imports checkpoints of other code under the variable names of the nets here.

`rules` says which name becomes which, `importing` applies the rules and checks the result, and
`writing` writes it into a folder.
"""
from ash_tf1.checkpoint_import.importing import Report, Target, import_checkpoint

__all__ = ['Report', 'Target', 'import_checkpoint']
