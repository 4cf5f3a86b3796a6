"""tritonclient with asyncio. `triton_aio.py http|grpc HOST:PORT`"""

import asyncio
import importlib
import sys

import numpy as np
from report import Report

ROW = np.array([[4.8, 3.0, 1.4, 0.1]], dtype=np.float32)
INFER = {"http": "infer, binary tensors", "grpc": "infer"}


async def main(kind, address):
    triton = importlib.import_module(f"tritonclient.{kind}.aio")
    report = Report(f"tritonclient.{kind}.aio")
    client = triton.InferenceServerClient(address)

    async def ready():
        assert await client.is_model_ready("iris")

    async def infer():
        tensor = triton.InferInput("features", [1, 4], "FP32")
        tensor.set_data_from_numpy(ROW)
        result = await client.infer("iris", [tensor])
        assert result.as_numpy("probabilities").shape == (1, 3)

    await report.call_async("is_model_ready", ready)
    await report.call_async(INFER[kind], infer)
    await client.close()
    report.print()


asyncio.run(main(*sys.argv[1:]))
