"""Imported first by every tool of the modern side: finds the checkout, and hushes onnxruntime.

From 1.29 on, onnxruntime on Linux reports its use to Microsoft, unless ORT_DISABLE_TELEMETRY=1 is
in the environment when it is imported. ORT_DISABLE_TELEMETRY=0 lets it.
"""
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')
