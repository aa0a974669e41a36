"""From what TensorFlow 1 left to an artifact: one ONNX model and the proof of what it answers.

`runs` exports our own runs. `foreign` converts the graphs of others: `sources` reads a file,
`graphs` cuts it to what lies between inputs and outputs and refuses what is no mathematics, and
`lowering` makes portable ops of every ASH. `published` finds the gates that owners wrote
themselves, and `argument` proves whether they are ASH. `runs` and `foreign` use `onnx_model`, which
converts a frozen graph, and `artifact`, which writes the folder.
"""
