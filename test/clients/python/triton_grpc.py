"""tritonclient over gRPC. `triton_grpc.py HOST:PORT`"""

import queue
import sys

import numpy as np
import tritonclient.grpc as grpc
from report import Report
from tritonclient.utils import InferenceServerException

ROW = np.array([[4.8, 3.0, 1.4, 0.1]], dtype=np.float32)
report = Report("tritonclient.grpc")
client = grpc.InferenceServerClient(sys.argv[1])


def features():
    tensor = grpc.InferInput("features", [1, 4], "FP32")
    tensor.set_data_from_numpy(ROW)
    return [tensor]


def check(result):
    probabilities = result.as_numpy("probabilities")
    assert probabilities.shape == (1, 3), probabilities
    assert abs(float(probabilities.sum()) - 1) < 1e-3, probabilities


def yes(answer):
    assert answer, answer


def text():
    """Text and 64-bit integers there and back."""
    names = ["bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"]
    samples = {name: np.array([[0, 1]], dtype="bool" if name == "bool" else name) for name in names}
    samples["int64"] = np.array([[-(2**63), 2**63 - 1]], dtype=np.int64)
    samples.update({f"fp{bits}": np.array([[0.5, -2]], dtype=f"float{bits}") for bits in (16, 32, 64)})
    samples["bytes"] = np.array([["grün".encode(), b""]], dtype=np.object_)
    inputs = []
    for name, data in samples.items():
        tensor = grpc.InferInput(name, list(data.shape), name.upper())
        tensor.set_data_from_numpy(data)
        inputs.append(tensor)
    result = client.infer("dtypes", inputs)
    for name, data in samples.items():
        assert (result.as_numpy(f"{name}_out") == data).all(), name


def chosen():
    outputs = [grpc.InferRequestedOutput("probabilities")]
    result = client.infer("iris", features(), outputs=outputs, request_id="mine")
    response = result.get_response()
    assert response.id == "mine" and len(response.outputs) == 1
    check(result)


def asynchronous():
    done = queue.Queue()
    client.async_infer("iris", features(), lambda result, error: done.put((result, error)))
    result, error = done.get(timeout=10)
    if error is not None:
        raise error
    check(result)


def stream():
    done = queue.Queue()
    client.start_stream(lambda result, error: done.put((result, error)))
    try:
        client.async_stream_infer("iris", features())
    except InferenceServerException:
        # The refusal came before the message was sent: what was refused is told to the callback.
        pass
    _, error = done.get(timeout=10)
    client.stop_stream(cancel_requests=True)
    if error is not None:
        raise error


call = report.call
call("is_server_live", lambda: yes(client.is_server_live()))
call("is_server_ready", lambda: yes(client.is_server_ready()))
call("is_model_ready", lambda: yes(client.is_model_ready("iris")))
call("get_server_metadata", lambda: yes(client.get_server_metadata().name == "lastgood"))
call("get_model_metadata", lambda: yes(list(client.get_model_metadata("iris").inputs[0].shape) == [-1, 4]))
call("infer", lambda: check(client.infer("iris", features())))
call("infer, all data types", text)
call("infer, outputs chosen", chosen)
call("infer, model_version", lambda: check(client.infer("iris", features(), model_version="1")))
call("infer, gzip", lambda: check(client.infer("iris", features(), compression_algorithm="gzip")))
call("infer, client_timeout", lambda: check(client.infer("iris", features(), client_timeout=10.0)))
call("async_infer", asynchronous)
call(
    "infer, classification",
    lambda: client.infer("iris", features(), outputs=[grpc.InferRequestedOutput("probabilities", class_count=2)]),
)
call("async_stream_infer", stream)
call("get_model_config", lambda: client.get_model_config("iris"))
call("get_inference_statistics", lambda: client.get_inference_statistics("iris"))
call("get_model_repository_index", lambda: client.get_model_repository_index())
call("load_model", lambda: client.load_model("iris"))
call("unload_model", lambda: client.unload_model("iris"))
call("get_trace_settings", lambda: client.get_trace_settings())
call("get_log_settings", lambda: client.get_log_settings())
call("get_system_shared_memory_status", lambda: client.get_system_shared_memory_status())
client.close()
report.print()
