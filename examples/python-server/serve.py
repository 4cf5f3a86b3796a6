"""A model server of nothing but Python's standard library: the Open Inference Protocol on $PORT."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

NAME = os.environ["LASTGOOD_MODEL_NAME"]
WEIGHTS = json.loads(Path("weights.json").read_text())
PATH = f"/v2/models/{quote(NAME)}"


def score(row):
    """The model: a weighted sum."""
    return WEIGHTS["bias"] + sum(w * x for w, x in zip(WEIGHTS["weights"], row, strict=True))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are written apart: without this the body may wait 40 ms for the head's acknowledgement.
    disable_nagle_algorithm = True

    def do_GET(self):
        if self.path == f"{PATH}/ready":
            return self.answer(200, {"ready": True})
        if self.path == PATH:
            width = len(WEIGHTS["weights"])
            return self.answer(
                200,
                {
                    "name": NAME,
                    "platform": "python",
                    "versions": ["1"],
                    "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, width]}],
                    "outputs": [{"name": "score", "datatype": "FP64", "shape": [-1]}],
                },
            )
        return self.answer(404, {"error": "there is nothing here"})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        tensor = request["inputs"][0]
        rows, width = tensor["shape"]
        data = tensor["data"]
        scores = [score(data[row * width : (row + 1) * width]) for row in range(rows)]
        output = {"name": "score", "datatype": "FP64", "shape": [rows], "data": scores}
        return self.answer(200, {"model_name": NAME, "outputs": [output]})

    def answer(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


Server((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
