"""LitServe around onnxruntime: one worker, on $PORT."""

import os

import litserve
import numpy
import onnxruntime


class OnnxApi(litserve.LitAPI):
    def setup(self, device):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            "model.onnx", options, providers=["CPUExecutionProvider"]
        )
        self.names = [output.name for output in self.session.get_outputs()]

    def decode_request(self, request):
        return {
            each["name"]: numpy.array(each["data"], numpy.float32).reshape(each["shape"])
            for each in request["inputs"]
        }

    def predict(self, feeds):
        return self.session.run(self.names, feeds)

    def encode_response(self, outputs):
        return {
            "outputs": [
                {"name": name, "shape": list(values.shape), "data": values.ravel().tolist()}
                for name, values in zip(self.names, outputs)
            ]
        }


if __name__ == "__main__":
    server = litserve.LitServer(OnnxApi(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        num_api_servers=1,
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )
