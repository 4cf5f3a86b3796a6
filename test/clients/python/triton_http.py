"""tritonclient over HTTP: numpy tensors are binary by default. `triton_http.py HOST:PORT`"""

import sys

import numpy as np
import tritonclient.http as http
from report import Report

ROW = np.array([[4.8, 3.0, 1.4, 0.1]], dtype=np.float32)
report = Report("tritonclient.http")
client = http.InferenceServerClient(sys.argv[1])


def features(binary=True):
    tensor = http.InferInput("features", [1, 4], "FP32")
    tensor.set_data_from_numpy(ROW, binary_data=binary)
    return [tensor]


def check(result):
    probabilities = result.as_numpy("probabilities")
    assert probabilities.shape == (1, 3), probabilities
    assert abs(float(probabilities.sum()) - 1) < 1e-3, probabilities
    assert result.get_response()["model_name"] == "iris"


def yes(answer):
    assert answer, answer


def dtypes():
    """Every data type there and back, text too."""
    samples = {
        "bool": np.array([[True, False]]),
        "uint8": np.array([[0, 255]], dtype=np.uint8),
        "uint64": np.array([[0, 2**64 - 1]], dtype=np.uint64),
        "int64": np.array([[-(2**63), 2**63 - 1]], dtype=np.int64),
        "fp16": np.array([[0.5, -2]], dtype=np.float16),
        "fp32": np.array([[0.5, -1.25]], dtype=np.float32),
        "fp64": np.array([[0.1, -1e300]], dtype=np.float64),
        "bytes": np.array([["grün".encode(), b""]], dtype=np.object_),
    }
    rest = {"uint16": np.uint16, "uint32": np.uint32, "int8": np.int8, "int16": np.int16, "int32": np.int32}
    samples.update({name: np.array([[1, 2]], dtype=dtype) for name, dtype in rest.items()})
    names = {"bytes": "BYTES", "bool": "BOOL"}
    inputs = []
    for name, data in samples.items():
        tensor = http.InferInput(name, list(data.shape), names.get(name, name.upper()))
        tensor.set_data_from_numpy(data)
        inputs.append(tensor)
    result = client.infer("dtypes", inputs)
    for name, data in samples.items():
        assert (result.as_numpy(f"{name}_out") == data).all(), name


def chosen():
    outputs = [http.InferRequestedOutput("probabilities", binary_data=False)]
    result = client.infer("iris", features(), outputs=outputs, request_id="mine")
    assert result.get_response()["id"] == "mine"
    assert len(result.get_response()["outputs"]) == 1
    check(result)


call = report.call
call("is_server_live", lambda: yes(client.is_server_live()))
call("is_server_ready", lambda: yes(client.is_server_ready()))
call("is_model_ready", lambda: yes(client.is_model_ready("iris")))
call("get_server_metadata", lambda: yes(client.get_server_metadata()["name"] == "lastgood"))
call("get_model_metadata", lambda: yes(client.get_model_metadata("iris")["inputs"][0]["shape"] == [-1, 4]))
call("infer, binary tensors", lambda: check(client.infer("iris", features())))
call("infer, JSON tensors", lambda: check(client.infer("iris", features(False))))
call("infer, all data types", dtypes)
call("infer, outputs chosen", chosen)
call("infer, model_version", lambda: check(client.infer("iris", features(), model_version="1")))
for algorithm in ["gzip", "deflate"]:
    call(
        f"infer, {algorithm} request",
        lambda algorithm=algorithm: check(
            client.infer("iris", features(), request_compression_algorithm=algorithm)
        ),
    )
call(
    "infer, gzip answer asked for",
    lambda: check(client.infer("iris", features(), response_compression_algorithm="gzip")),
)
call("async_infer", lambda: check(client.async_infer("iris", features()).get_result()))
call(
    "infer, classification",
    lambda: client.infer("iris", features(), outputs=[http.InferRequestedOutput("probabilities", class_count=2)]),
)
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
