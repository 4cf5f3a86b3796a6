"""Ray Serve around onnxruntime: one replica, on $PORT."""

import os
import threading

import numpy
import onnxruntime
import ray
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=100, ray_actor_options={"num_cpus": 0.5})
class Iris:
    def __init__(self, path: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        self.names = [output.name for output in self.session.get_outputs()]

    async def __call__(self, request: Request) -> dict:
        feeds = {
            each["name"]: numpy.array(each["data"], numpy.float32).reshape(each["shape"])
            for each in (await request.json())["inputs"]
        }
        return {
            "outputs": [
                {"name": name, "shape": list(values.shape), "data": values.ravel().tolist()}
                for name, values in zip(self.names, self.session.run(self.names, feeds))
            ]
        }


if __name__ == "__main__":
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
    serve.run(Iris.bind(os.path.abspath("model.onnx")), route_prefix="/predict")
    threading.Event().wait()
