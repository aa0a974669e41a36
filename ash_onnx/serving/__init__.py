"""The endpoint: artifacts behind KServe's model server, with guards.

It needs requirements/serving.txt (`pip install ".[serving]"`); the rest of `ash_onnx` does not.
`tools/serve.py` starts it by `main.serve_artifacts`. What each module is for:

    settings.py     limits and addresses
    refusals.py     what a client is told where a request is refused, over both protocols
    tensors.py      what a client sends as a tensor becomes an array, or is refused
    messages.py     requests and answers of the Open Inference Protocol, over both protocols
    models.py       an artifact as a model of KServe; kinds/ has what each kind adds
    loading.py      opens artifacts, and proves them
    gate.py         how many requests are worked on, wait, and for how long; shedding.py
    rest.py rpc.py  the two protocols; connections.py what a client may do with a connection
    metrics.py log.py page.py
    server.py       starts and stops KServe's servers
"""
