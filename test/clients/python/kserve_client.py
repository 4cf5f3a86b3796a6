"""KServe's Python clients, V1 and V2 over REST, V2 over gRPC. `kserve_client.py HOST:PORT HOST:GRPC_PORT`"""

import asyncio
import sys

from kserve import InferInput, InferRequest
from kserve.inference_client import InferenceGRPCClient, InferenceRESTClient, RESTConfig
from report import Report

URL = f"http://{sys.argv[1]}"
ROW = [4.8, 3.0, 1.4, 0.1]


def request(name="iris"):
    tensor = InferInput("features", [1, 4], "FP32")
    tensor.data = ROW
    return InferRequest(name, [tensor])


def check(answer):
    probabilities = next(each for each in answer.outputs if each.name == "probabilities")
    assert list(probabilities.shape) == [1, 3], probabilities


async def rest_v2(calls):
    report = Report("kserve InferenceRESTClient, v2")
    client = InferenceRESTClient(RESTConfig(protocol="v2"))

    async def yes(answer):
        assert await answer

    async def infer():
        check(await client.infer(URL, request(), model_name="iris"))

    await report.call_async("is_server_live", lambda: yes(client.is_server_live(URL)))
    await report.call_async("is_server_ready", lambda: yes(client.is_server_ready(URL)))
    await report.call_async("is_model_ready", lambda: yes(client.is_model_ready(URL, "iris")))
    await report.call_async("infer", infer)
    await client.close()
    calls.extend(report.calls)


async def rest_v1(calls):
    report = Report("kserve InferenceRESTClient, v1")
    client = InferenceRESTClient(RESTConfig(protocol="v1"))

    async def ready():
        assert await client.is_model_ready(URL, "iris")

    async def live():
        assert await client.is_server_live(URL)

    async def infer():
        answer = await client.infer(URL, {"instances": [1.0, 2.0, 5.0]}, model_name="half_plus_two")
        assert answer["predictions"] == [2.5, 3.0, 4.5], answer

    async def explain():
        await client.explain(URL, "iris", {"instances": [ROW]})

    await report.call_async("is_model_ready", ready)
    await report.call_async("infer", infer)
    await report.call_async("is_server_live", live)
    await report.call_async("explain", explain)
    await client.close()
    calls.extend(report.calls)


async def grpc(calls):
    report = Report("kserve InferenceGRPCClient")
    client = InferenceGRPCClient(sys.argv[2])

    async def yes(answer):
        assert await answer

    async def infer():
        check(await client.infer(request()))

    await report.call_async("is_server_live", lambda: yes(client.is_server_live()))
    await report.call_async("is_server_ready", lambda: yes(client.is_server_ready()))
    await report.call_async("is_model_ready", lambda: yes(client.is_model_ready("iris")))
    await report.call_async("infer", infer)
    await client.close()
    calls.extend(report.calls)


async def main():
    everything = Report("kserve")
    for run in (rest_v2, rest_v1, grpc):
        await run(everything.calls)
    everything.print()


asyncio.run(main())
