"""Makes examples/iris-pipeline: a model of three steps that is registered, deployed and rolled back as one.

    pip install onnx==1.23.2 && python pipeline.py
"""

from pathlib import Path

import onnx
from onnx import TensorProto, helper, numpy_helper
import numpy as np

HERE = Path(__file__).parent
OUT = HERE / "iris-pipeline"
OPSET = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING


def save(name, nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
    model = helper.make_model(graph, opset_imports=OPSET, ir_version=8, producer_name="lastgood")
    onnx.checker.check_model(model)
    (OUT / f"{name}.onnx").write_bytes(model.SerializeToString())


def value(name, dtype, shape):
    return helper.make_tensor_value_info(name, dtype, shape)


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def preprocess(name, factor):
    """The model knows centimetres, its callers inches."""
    save(
        name,
        [helper.make_node("Mul", ["inches", "factor"], ["features"])],
        [value("inches", FLOAT, ["N", 4])],
        [value("features", FLOAT, ["N", 4])],
        [constant("factor", np.float32(factor))],
    )


OUT.mkdir(exist_ok=True)
preprocess("preprocess", 2.54)
(OUT / "model.onnx").write_bytes((HERE / "iris" / "v1.1.onnx").read_bytes())
save(
    "postprocess",
    [
        helper.make_node("LabelEncoder", ["label"], ["species"], domain="ai.onnx.ml",
                         keys_int64s=[0, 1, 2], values_strings=["setosa", "versicolor", "virginica"]),
        helper.make_node("ReduceMax", ["probabilities"], ["confidence"], axes=[1], keepdims=0),
    ],
    [value("label", INT64, ["N"]), value("probabilities", FLOAT, ["N", 3])],
    [value("species", STRING, ["N"]), value("confidence", FLOAT, ["N"])],
)
