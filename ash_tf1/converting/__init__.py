"""From what TensorFlow 1 left to an artifact: one ONNX model and the proof of what it answers.

`runs` exports our own runs. `foreign` converts the graphs of others: `sources` reads a file,
`graphs` cuts it to what lies between inputs and outputs and refuses what is no mathematics, and
`lowering` makes portable ops of every ASH. Both use `onnx_model`, which converts a frozen graph,
and `artifact`, which writes the folder.
"""
