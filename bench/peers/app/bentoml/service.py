"""BentoML around onnxruntime: one worker."""

import bentoml
import numpy
import onnxruntime


@bentoml.service(workers=1)
class Iris:
    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            "model.onnx", options, providers=["CPUExecutionProvider"]
        )
        self.names = [output.name for output in self.session.get_outputs()]

    @bentoml.api
    def predict(self, inputs: list[dict]) -> dict:
        feeds = {
            each["name"]: numpy.array(each["data"], numpy.float32).reshape(each["shape"])
            for each in inputs
        }
        return {
            "outputs": [
                {"name": name, "shape": list(values.shape), "data": values.ravel().tolist()}
                for name, values in zip(self.names, self.session.run(self.names, feeds))
            ]
        }
