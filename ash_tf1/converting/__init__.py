"""From what TensorFlow 1 left to an artifact: one ONNX model and the proof of what it answers.

`runs` exports our own runs, `foreign` converts the graphs of others. On the way of the latter

- `sources` reads a file, and `freezing` makes constants of its variables,
- `graphs` cuts it to what lies between inputs and outputs and refuses what is no mathematics, by
  what `definitions` and `functions` know of it, and `simplifying` takes out what constants decide,
- `classifying` makes an image classifier of it, and `samples` finds inputs,
- `lowering` makes portable ops of every ASH: `published` finds the gates that owners wrote
  themselves, and `argument` proves whether they are ASH.

`containment` is the child process for all that. Both ways end in `onnx_model`, which converts a
frozen graph to an opset (`opsets`), the same in every process (`ordered_sets`), with names for its
axes (`axes`), and in `artifact`, which writes the folder and its `card`.
"""
