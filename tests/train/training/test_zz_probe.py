import time
def test_a(tiny_run, tiny, tiny_settings, tmp_path):
    import os
    print(sorted(os.listdir(str(tiny_run))), os.listdir(str(tiny_run/'best')))
    print((tiny_run/'metrics.csv').read_text()); print((tiny_run/'activations.csv').read_text())
    from ash_tf1 import training, evaluation, export
    t=time.time(); training.train(tiny_settings(), str(tmp_path/'r'), progress=False); print('train', time.time()-t)
    print((tmp_path/'r'/'metrics.csv').read_text())
    t=time.time(); print(evaluation.evaluate(str(tiny_run), progress=False)); print('eval', time.time()-t)
    t=time.time(); print(export.export(str(tiny_run), str(tmp_path/'x'))); print('export', time.time()-t)
    import onnx
    m=onnx.load(str(tmp_path/'x'/'model.onnx'))
    for n in m.graph.node: print(n.op_type, list(n.input), list(n.output))
    print(m.metadata_props)
