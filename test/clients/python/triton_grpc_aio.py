"""tritonclient over gRPC with asyncio. `triton_grpc_aio.py HOST:PORT`"""

import sys

import numpy as np
import tritonclient.grpc.aio as grpc
from report import Report, run_async

ROW = np.array([[4.8, 3.0, 1.4, 0.1]], dtype=np.float32)


async def main():
    report = Report("tritonclient.grpc.aio")
    client = grpc.InferenceServerClient(sys.argv[1])

    async def ready():
        assert await client.is_model_ready("iris")

    async def infer():
        tensor = grpc.InferInput("features", [1, 4], "FP32")
        tensor.set_data_from_numpy(ROW)
        result = await client.infer("iris", [tensor])
        assert result.as_numpy("probabilities").shape == (1, 3)

    await report.call_async("is_model_ready", ready)
    await report.call_async("infer", infer)
    await client.close()
    report.print()


run_async(main)
