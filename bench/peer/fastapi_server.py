"""FastAPI and onnxruntime, as its own documentation writes it: one worker, one run per request.

    uvicorn's port and the model: python fastapi_server.py PORT MODEL
"""

import sys

import numpy
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[2], options, providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
app = FastAPI()


class Tensor(BaseModel):
    name: str
    shape: list[int]
    datatype: str
    data: list[float]


class Request(BaseModel):
    inputs: list[Tensor]


@app.post("/infer")
async def infer(request: Request) -> dict:
    feeds = {
        tensor.name: numpy.array(tensor.data, numpy.float32).reshape(tensor.shape)
        for tensor in request.inputs
    }
    outputs = session.run(names, feeds)
    return {
        "outputs": [
            {"name": name, "shape": list(values.shape), "data": values.ravel().tolist()}
            for name, values in zip(names, outputs)
        ]
    }


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
