#!/usr/bin/env python3
"""The forward pass of the reference MLP (784-512-256-10, relu): weft beside onnxruntime, in turn in one run.

    python3 -m pip install numpy onnx onnxruntime
    python3 bench/compare_inference.py --weft build/bin/weft [--batches 1,128] [--rounds 5] [--threads 2] [--max-ratio 1=0.6,128=0.7]

Builds the same network as an ONNX model with random weights and times `InferenceSession.run` on the CPU with as many
threads; `weft bench mlp --inference` times the same call of weft's. Each round runs both; the table has the median over
rounds of each one's median call, and their ratio. Exits 1 when a ratio is over --max-ratio.
"""
import argparse
import json
import statistics
import subprocess
import sys
import time

WIDTHS = [784, 512, 256, 10]


def mlp_as_onnx(numpy, onnx):
    """The network as a serialised model: image f32[batch, 784] -> scores f32[batch, 10]."""
    random = numpy.random.default_rng(0)
    nodes, weights, value = [], [], "image"
    for layer, (inputs, outputs) in enumerate(zip(WIDTHS, WIDTHS[1:])):
        last = layer == len(WIDTHS) - 2
        w = random.standard_normal((inputs, outputs), dtype=numpy.float32) * numpy.float32(inputs**-0.5)
        weights += [onnx.numpy_helper.from_array(w, f"w{layer}"),
                    onnx.numpy_helper.from_array(numpy.zeros(outputs, numpy.float32), f"b{layer}")]
        sums = "scores" if last else f"sums{layer}"
        nodes.append(onnx.helper.make_node("Gemm", [value, f"w{layer}", f"b{layer}"], [sums]))
        if not last:
            value = f"hidden{layer}"
            nodes.append(onnx.helper.make_node("Relu", [sums], [value]))

    def tensor(name, width):
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", width])

    graph = onnx.helper.make_graph(nodes, "mlp", [tensor("image", WIDTHS[0])], [tensor("scores", WIDTHS[-1])], weights)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def time_onnxruntime(session, image, calls):
    """The median time of a call, in microseconds."""
    feed = {"image": image}
    times = []
    for call in range(calls // 10 + calls):
        start = time.perf_counter_ns()
        session.run(None, feed)
        if call >= calls // 10:
            times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / 1e3


def time_weft(weft, batch, threads, calls):
    command = [weft, "bench", "mlp", "--inference", "--batch-size", str(batch), "--steps", str(calls),
               "--threads", str(threads), "--json"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(command)}: exit code {result.returncode}: {result.stderr.strip()}")
    return json.loads(result.stdout)["step_ms"] * 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weft", required=True, help="the weft command")
    parser.add_argument("--batches", default="1,128", help="batch sizes, comma separated")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--max-ratio", default="", help="batch=ratio, comma separated")
    options = parser.parse_args()
    try:
        import numpy
        import onnx
        import onnxruntime
    except ImportError as error:
        sys.exit(f"{error}; install what is needed with: python3 -m pip install numpy onnx onnxruntime")
    limits = {int(b): float(r) for b, r in (item.split("=") for item in options.max_ratio.split(",") if item)}

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    model = mlp_as_onnx(numpy, onnx)

    print(f"onnxruntime {onnxruntime.__version__}, {options.threads} threads, {options.rounds} rounds")
    print(f"{'batch':>6}{'weft us':>12}{'onnxruntime us':>17}{'ratio':>8}")
    too_slow = False
    for batch in (int(b) for b in options.batches.split(",")):
        image = numpy.random.default_rng(1).random((batch, WIDTHS[0]), dtype=numpy.float32)
        calls = max(200, 20000 // batch)
        weft, peer = [], []
        for _ in range(options.rounds):
            # A session of its own for each round: the threads of an idle one would spin beside weft's.
            session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
            peer.append(time_onnxruntime(session, image, calls))
            del session
            weft.append(time_weft(options.weft, batch, options.threads, calls))
        ratio = statistics.median(weft) / statistics.median(peer)
        print(f"{batch:>6}{statistics.median(weft):>12.1f}{statistics.median(peer):>17.1f}{ratio:>8.2f}", flush=True)
        too_slow = too_slow or ratio > limits.get(batch, float("inf"))
    return 1 if too_slow else 0


if __name__ == "__main__":
    sys.exit(main())
