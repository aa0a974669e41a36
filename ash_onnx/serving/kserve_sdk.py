"""Imports what the endpoint uses of KServe's SDK.

`kserve.model_server` parses `sys.argv` when it is imported, and ends the process where it finds an
option of its own with a value it does not like. It gets no arguments here.
"""

import sys

_arguments = sys.argv
sys.argv = sys.argv[:1]
try:
    from kserve import (
        InferInput,
        InferOutput,
        InferRequest,
        InferResponse,
        Model,
        ModelRepository,
        ModelServer,
    )
    from kserve.errors import ModelNotFound
    from kserve.model_server import app
    from kserve.protocol.dataplane import DataPlane
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
    from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import (
        GRPCInferenceServiceServicer,
        add_GRPCInferenceServiceServicer_to_server,
    )
    from kserve.protocol.grpc.server import GRPCServer
    from kserve.protocol.grpc.servicer import InferenceServicer
    from kserve.protocol.infer_type import RequestedOutput, serialize_byte_tensor
    from kserve.protocol.rest.server import RESTServer
    from kserve.protocol.rest.v2_endpoints import V2Endpoints
finally:
    sys.argv = _arguments

__all__ = [
    'DataPlane',
    'GRPCInferenceServiceServicer',
    'GRPCServer',
    'InferInput',
    'InferOutput',
    'InferRequest',
    'InferResponse',
    'InferenceServicer',
    'Model',
    'ModelNotFound',
    'ModelRepository',
    'ModelServer',
    'RESTServer',
    'RequestedOutput',
    'V2Endpoints',
    'add_GRPCInferenceServiceServicer_to_server',
    'app',
    'pb',
    'serialize_byte_tensor',
]
