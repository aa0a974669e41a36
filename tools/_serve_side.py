"""Each tool of the modern side imports this first.

It makes the packages of the checkout importable, and turns telemetry of onnxruntime off.
From 1.29 on, onnxruntime on Linux reports its use to Microsoft, unless ORT_DISABLE_TELEMETRY=1 is
in the environment when it is imported. Set ORT_DISABLE_TELEMETRY=0 to allow the reports.
"""
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')
