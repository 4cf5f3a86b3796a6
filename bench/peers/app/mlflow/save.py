"""Writes `model.onnx` as a model folder of MLflow: python save.py FOLDER"""

import sys

import mlflow
import numpy
import onnx

mlflow.onnx.save_model(
    onnx.load("model.onnx"),
    sys.argv[1],
    input_example=numpy.array([[5.1, 3.5, 1.4, 0.2]], numpy.float32),
    onnx_execution_providers=["CPUExecutionProvider"],
    onnx_session_options={"intra_op_num_threads": 1},
)
