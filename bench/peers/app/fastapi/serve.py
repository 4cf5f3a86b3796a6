"""FastAPI and onnxruntime, as their own documentation writes it: one worker, one run per request.

It speaks the Open Inference Protocol, so that it can also be kept by lastgood: $MODEL, else the `model.onnx`
beside it, on $HOST and $PORT.
"""

import os

import numpy
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

NAME = os.environ.get("LASTGOOD_MODEL_NAME", "iris")
DATATYPES = {"tensor(float)": "FP32", "tensor(int64)": "INT64"}

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
model = os.environ.get("MODEL", "model.onnx")
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
types = {output.name: DATATYPES[output.type] for output in session.get_outputs()}
app = FastAPI()


class Tensor(BaseModel):
    name: str
    shape: list[int]
    datatype: str
    data: list[float]


class Request(BaseModel):
    inputs: list[Tensor]


def described(tensor) -> dict:
    shape = [axis if isinstance(axis, int) else -1 for axis in tensor.shape]
    return {"name": tensor.name, "datatype": DATATYPES[tensor.type], "shape": shape}


@app.get(f"/v2/models/{NAME}/ready")
async def ready() -> dict:
    return {"ready": True}


@app.get(f"/v2/models/{NAME}")
async def metadata() -> dict:
    return {
        "name": NAME,
        "platform": "onnxruntime",
        "versions": ["1"],
        "inputs": [described(tensor) for tensor in session.get_inputs()],
        "outputs": [described(tensor) for tensor in session.get_outputs()],
    }


@app.post(f"/v2/models/{NAME}/infer")
async def infer(request: Request) -> dict:
    feeds = {
        tensor.name: numpy.array(tensor.data, numpy.float32).reshape(tensor.shape)
        for tensor in request.inputs
    }
    outputs = session.run(names, feeds)
    return {
        "outputs": [
            {
                "name": name,
                "datatype": types[name],
                "shape": list(values.shape),
                "data": values.ravel().tolist(),
            }
            for name, values in zip(names, outputs)
        ]
    }


if __name__ == "__main__":
    uvicorn.run(
        app,
        host=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ["PORT"]),
        log_level="warning",
        access_log=False,
    )
