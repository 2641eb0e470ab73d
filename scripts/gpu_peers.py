#!/usr/bin/env python3
"""What PyTorch and JAX reach on the same GPU: the reference mlp's training step, and contractions through cuBLAS.

    python3 scripts/gpu_peers.py [--device cuda|cpu] [--steps 2000] [--small]

Prints a markdown table. The step is weft's: rows gathered from a resident u8 data set, 784-512-256-10 with relu, softmax
cross-entropy, Adam 1e-3 (epsilon 1e-7), batch 128, f32. A peer that is not installed gets a row that says so. `--device cpu
--small` is a dry run. Each time is the median of nine rounds.
"""
import argparse
import functools
import statistics
import time

WIDTHS, BATCH, SAMPLES = [784, 512, 256, 10], 128, 60000
SIZES = [(512, 512, 512), (1024, 1024, 1024), (4096, 4096, 4096), (8192, 8192, 8192), (128, 512, 784), (784, 512, 128)]


def median_seconds(run, synchronize, repeats):
    """Seconds of one of the `repeats` of a call of `run`."""
    run()
    rounds = []
    for _ in range(9):
        synchronize()
        start = time.perf_counter()
        run()
        synchronize()
        rounds.append((time.perf_counter() - start) / repeats)
    return statistics.median(rounds)


def torch_steps(torch, device, steps):
    """Yields (name, seconds of a step)."""
    synchronize = torch.cuda.synchronize if device == "cuda" else lambda: None
    images = torch.randint(0, 256, (SAMPLES, WIDTHS[0]), dtype=torch.uint8, device=device)
    labels = torch.randint(0, 10, (SAMPLES,), device=device)
    batches = torch.randint(0, SAMPLES, (steps, BATCH), device=device)

    def trainer(compiled):
        layers = []
        for inputs, outputs in zip(WIDTHS, WIDTHS[1:]):
            layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
        model = torch.nn.Sequential(*layers[:-1]).to(device)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7, capturable=device == "cuda")

        def step(index):
            optimizer.zero_grad(set_to_none=True)
            x = images[index].float() * (1 / 255)
            torch.nn.functional.cross_entropy(model(x), labels[index]).backward()
            optimizer.step()

        return torch.compile(step, mode=compiled) if compiled else step

    def run(step):
        for index in batches:
            step(index)

    yield "PyTorch eager", median_seconds(functools.partial(run, trainer(None)), synchronize, steps)
    yield "torch.compile", median_seconds(functools.partial(run, trainer("default")), synchronize, steps)
    if device != "cuda":
        return
    step, index = trainer(None), batches[0].clone()
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            step(index)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(index)

    def replay():
        for batch in batches:
            index.copy_(batch)
            graph.replay()

    yield "PyTorch, CUDA graph of the step", median_seconds(replay, synchronize, steps)


def jax_steps(jax, steps):
    """Yields (name, seconds of a step)."""
    jnp = jax.numpy
    keys = jax.random.split(jax.random.PRNGKey(0), 8)
    images = jax.random.randint(keys[0], (SAMPLES, WIDTHS[0]), 0, 256).astype(jnp.uint8)
    labels = jax.random.randint(keys[1], (SAMPLES,), 0, 10)
    batches = jax.random.randint(keys[2], (steps, BATCH), 0, SAMPLES)
    weights = [(jax.random.normal(k, (i, o)) * i**-0.5, jnp.zeros(o)) for k, i, o in zip(keys[3:], WIDTHS, WIDTHS[1:])]
    zeros = jax.tree.map(jnp.zeros_like, weights)

    def loss(weights, x, y):
        for w, b in weights[:-1]:
            x = jax.nn.relu(x @ w + b)
        w, b = weights[-1]
        return -jnp.take_along_axis(jax.nn.log_softmax(x @ w + b), y[:, None], 1).mean()

    def step(state, index):
        weights, m, v, t = state
        g = jax.grad(loss)(weights, images[index].astype(jnp.float32) * (1 / 255), labels[index])
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        weights = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) + 1e-7), weights, m, v)
        return (weights, m, v, t), None

    state = (weights, zeros, zeros, jnp.float32(0))
    jitted = jax.jit(step)

    def each():
        s = state
        for index in batches:
            s, _ = jitted(s, index)
        jax.block_until_ready(s)

    scanned = jax.jit(lambda s, b: jax.lax.scan(step, s, b)[0])
    yield "JAX jit", median_seconds(each, lambda: None, steps)
    yield "JAX scan", median_seconds(lambda: jax.block_until_ready(scanned(state, batches)), lambda: None, steps)


def torch_products(torch, device, sizes):
    """Yields (name, GFLOP/s)."""
    synchronize = torch.cuda.synchronize if device == "cuda" else lambda: None
    for m, n, k in sizes:
        for name, dtype, tf32 in [("f32", torch.float32, False), ("tf32", torch.float32, True),
                                  ("bf16", torch.bfloat16, False)]:
            torch.backends.cuda.matmul.allow_tf32 = tf32
            x, y = (torch.randn(shape, device=device).to(dtype) for shape in [(m, k), (k, n)])
            repeats = max(1, min(1000, int(2e11 / (m * n * k)))) if device == "cuda" else 1

            def run():
                for _ in range(repeats):
                    x @ y

            yield f"{m}x{n}x{k} {name}", 2e-9 * m * n * k / median_seconds(run, synchronize, repeats)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--steps", type=int, default=2000, help="training steps of a round")
    parser.add_argument("--small", action="store_true", help="few steps, small contractions")
    options = parser.parse_args()
    steps, sizes = (8, [(64, 64, 64)]) if options.small else (options.steps, SIZES)
    print("| peer | step us |\n| --- | --- |")
    torch = None
    try:
        import torch
        if options.device == "cuda" and not torch.cuda.is_available():
            raise ImportError("this PyTorch finds no GPU")
        for name, seconds in torch_steps(torch, options.device, steps):
            print(f"| {name} ({torch.__version__}) | {seconds * 1e6:.2f} |", flush=True)
    except ImportError as e:
        print(f"| PyTorch | not measured: {e} |")
        torch = None
    try:
        import jax
        if jax.default_backend() != ("gpu" if options.device == "cuda" else "cpu"):
            raise ImportError(f"this JAX runs on {jax.default_backend()}")
        for name, seconds in jax_steps(jax, steps):
            print(f"| {name} ({jax.__version__}) | {seconds * 1e6:.2f} |", flush=True)
    except ImportError as e:
        print(f"| JAX | not measured: {e} |")
    if torch:
        print("\n| contraction through PyTorch | GFLOP/s |\n| --- | --- |")
        for name, gflops in torch_products(torch, options.device, sizes):
            print(f"| {name} | {gflops:.1f} |", flush=True)


if __name__ == "__main__":
    main()
