"""The two sides share no code, and must refuse the same JPEG files: their readers are one text."""
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_change_of_one_reader_is_made_in_the_other():
    here, there = ((ROOT / path).read_text(encoding='utf-8')
                   for path in ('ash_onnx/jpeg.py', 'ash_tf1/input_pipelines/jpeg.py'))
    assert here == there
