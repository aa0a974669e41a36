"""Converts checkpoints and graphs of TensorFlow 1 to artifacts: a model, and proof of its answers.

`runs` exports our own runs, `foreign` converts the graphs of others, in the child process of
`containment`. On the way of the latter

- `sources` reads a file, and `freezing` makes constants of its variables,
- `graphs` cuts it to what lies between inputs and outputs and refuses what is no mathematics, by
  what `definitions` and `functions` know of it, and `simplifying` takes out what constants decide,
- `samples` finds inputs.

From there on both go one way:

- `lowering` makes portable ops of every ASH: `published` finds the gates that owners wrote
  themselves, and `argument` proves whether they are ASH,
- `proof` runs the graph, and holds the portable ops against what it answers,
- `onnx_model` converts these to an opset (`opsets`), the same in every process (`ordered_sets`),
  with names for the axes (`axes`),
- `artifact` writes the folder and its `card`.
"""
