#!/usr/bin/env python3
"""One row through the reference MLP, call after call: an object file of weft's beside onnxruntime and PyTorch, in one run.

    python3 -m pip install numpy onnx onnxruntime torch
    python3 bench/compare_latency.py --bench build-bench/bin/bench_objects [--calls 1000000]

Prints percentiles of the time of a call, each on one thread. `bench_objects latency` times the object (bench/objects.cpp).
"""
import argparse
import subprocess
import time

from compare_inference import WIDTHS, mlp_as_onnx


def percentiles(what, call, calls):
    for _ in range(1000):
        call()
    clock, times = time.perf_counter_ns, []
    for _ in range(calls):
        start = clock()
        call()
        times.append(clock() - start)
    times.sort()
    at = lambda p: times[int(p * (calls - 1))] / 1e3
    print(f"{what}: p50 {at(0.5):.2f} us, p99 {at(0.99):.2f}, p99.9 {at(0.999):.2f}, most {at(1):.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bench", required=True)
    parser.add_argument("--calls", type=int, default=1_000_000)
    options = parser.parse_args()
    print(subprocess.run([options.bench, "latency", str(options.calls)], capture_output=True, text=True, check=True).stdout, end="", flush=True)

    import numpy
    import onnx
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(mlp_as_onnx(numpy, onnx), settings, providers=["CPUExecutionProvider"])
    feed = {"image": numpy.random.default_rng(1).random((1, WIDTHS[0]), dtype=numpy.float32)}
    percentiles(f"onnxruntime {onnxruntime.__version__}", lambda: session.run(None, feed), options.calls)

    import torch

    torch.set_num_threads(1)
    layers = []
    for inputs, outputs in zip(WIDTHS, WIDTHS[1:]):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1]).eval()
    image = torch.from_numpy(feed["image"])
    with torch.inference_mode():
        percentiles(f"PyTorch {torch.__version__}, eager", lambda: model(image), options.calls)


if __name__ == "__main__":
    main()
