#!/usr/bin/env python3
"""The reference GPT beside PyTorch in one run: the time of a training step, in turn, and how fast each continues a text.

    python3 -m pip install numpy torch
    python3 bench/compare_gpt.py --weft build/bin/weft [--rounds 3] [--steps 10] [--compile]

The model of `weft bench gpt`: 4 blocks of 4 heads, width 128, 128 tokens of 65, batch 32, Adam; PyTorch's attention is
scaled_dot_product_attention, its Adam fused. Both use as many threads as there are CPUs to train, and one to continue:
there PyTorch, too, keeps the keys and values of what it has seen.
"""
import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

LAYERS, HEADS, WIDTH, CONTEXT, VOCABULARY, BATCH = 4, 4, 128, 128, 65, 32
GENERATED = 100  # fewer than the context: neither starts again


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.mix = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def heads(self, x):
        return self.qkv(self.norm1(x)).view(x.shape[0], x.shape[1], 3 * HEADS, -1).transpose(1, 2).chunk(3, 1)

    def rest(self, x, attended):
        x = x + self.mix(attended.transpose(1, 2).reshape(x.shape))
        return x + self.down(F.gelu(self.up(self.norm2(x))))

    def forward(self, x):
        q, k, v = self.heads(x)
        return self.rest(x, F.scaled_dot_product_attention(q, k, v, is_causal=True))

    def step(self, x, cache, position):
        q, k, v = self.heads(x)
        cache[0][:, :, position], cache[1][:, :, position] = k[:, :, 0], v[:, :, 0]
        return self.rest(x, F.scaled_dot_product_attention(q, cache[0][:, :, : position + 1], cache[1][:, :, : position + 1]))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(VOCABULARY, WIDTH), nn.Parameter(torch.randn(CONTEXT, WIDTH) * 0.02)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm, self.scores = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY)

    def forward(self, tokens):
        x = self.tokens(tokens) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.scores(self.norm(x))

    def step(self, token, caches, position):
        x = self.tokens(token) + self.positions[position]
        for block, cache in zip(self.blocks, caches):
            x = block.step(x, cache, position)
        return self.scores(self.norm(x))


class Trainer:
    def __init__(self, compiled):
        torch.manual_seed(0)
        model = Gpt()
        self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7, fused=True)
        loss = lambda x, y: F.cross_entropy(model(x).view(-1, VOCABULARY), y.view(-1))
        self.loss = torch.compile(loss) if compiled else loss
        self.x = torch.randint(0, VOCABULARY, (BATCH, CONTEXT))
        start = time.perf_counter()
        self.step()
        self.compile_s = time.perf_counter() - start

    def step(self):
        self.optimizer.zero_grad()
        loss = self.loss(self.x, self.x)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def median_ms(self, steps):
        times = []
        for _ in range(steps):
            start = time.perf_counter()
            self.step()
            times.append(1e3 * (time.perf_counter() - start))
        return statistics.median(times)


def torch_tokens_per_s():
    torch.set_num_threads(1)
    model = Gpt().eval()
    rate = 0
    with torch.inference_mode():
        for _ in range(5):
            caches = [torch.zeros(2, 1, HEADS, CONTEXT, WIDTH // HEADS) for _ in range(LAYERS)]
            token = torch.zeros(1, 1, dtype=torch.long)
            start = time.perf_counter()
            for position in range(GENERATED):
                token = torch.multinomial(model.step(token, caches, position)[0, -1].softmax(-1), 1).view(1, 1)
            rate = max(rate, GENERATED / (time.perf_counter() - start))
    return rate


def weft_tokens_per_s(weft):
    with tempfile.TemporaryDirectory() as folder:
        text, model = Path(folder, "text.txt"), Path(folder, "text.safetensors")
        characters = [chr(ord("0") + i) for i in range(VOCABULARY)]
        text.write_text("".join(characters[(i * i + i // 7) % VOCABULARY] for i in range(8000)))
        subprocess.run([weft, "train", "gpt", "--data", text, "--epochs", "1", "--save", model, "--json"], check=True, capture_output=True)
        generate = [weft, "generate", model, "--prompt", "0", "--tokens", str(GENERATED), "--json"]
        return max(json.loads(subprocess.run(generate, check=True, capture_output=True, text=True).stdout)["tokens_per_s"] for _ in range(5))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weft", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--compile", action="store_true", help="torch.compile too, which takes a minute")
    o = parser.parse_args()
    trainers = {"PyTorch, eager": Trainer(False)} | ({"PyTorch, compile": Trainer(True)} if o.compile else {})
    times = {name: [] for name in ["weft", *trainers]}
    for _ in range(o.rounds):
        run = subprocess.run([o.weft, "bench", "gpt", "--steps", str(o.steps), "--json"], check=True, capture_output=True, text=True)
        line = json.loads(run.stdout)
        times["weft"].append(line["step_ms"])
        for name, trainer in trainers.items():
            times[name].append(trainer.median_ms(o.steps))
    ours = statistics.median(times["weft"])
    print(f"weft: {ours:.1f} ms a step, {line['peak_fraction']:.2f} of the peak, compiled in {line['compile_s']:.2f} s")
    for name, trainer in trainers.items():
        theirs = statistics.median(times[name])
        print(f"{name} {torch.__version__}: {theirs:.1f} ms a step, weft takes {ours / theirs:.2f} of it; first step {trainer.compile_s:.1f} s")
    ours, theirs = weft_tokens_per_s(o.weft), torch_tokens_per_s()
    print(f"tokens a second on one thread: weft {ours:.0f}, PyTorch {theirs:.0f}: {ours / theirs:.1f} times")


if __name__ == "__main__":
    main()
