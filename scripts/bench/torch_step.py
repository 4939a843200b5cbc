#!/usr/bin/env python3
"""Times one training step of the same GPT-2 in PyTorch on the CPU, as a rival for `gogpt bench`: forward, backward,
clipping by the global norm, Adam. Prints one JSON line.

Needs Debian's python3-torch, python3-numpy and libopenblas0-pthread, and Debian's own interpreter (/usr/bin/python3).
"""
import argparse
import json
import math
import time

import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x, future):
        batch, seq, dim = x.shape
        split = (batch, seq, self.heads, dim // self.heads)
        q, k, v = (part.view(split).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        scores = q @ k.transpose(2, 3) / math.sqrt(dim // self.heads)
        heads = scores.masked_fill(future, -math.inf).softmax(-1) @ v
        return self.out(heads.transpose(1, 2).reshape(batch, seq, dim))


class Block(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(o.dim) for _ in range(2))
        self.attention = Attention(o.dim, o.heads)
        self.network = nn.Sequential(nn.Linear(o.dim, o.hidden), nn.GELU(), nn.Linear(o.hidden, o.dim))

    def forward(self, x, future):
        x = x + self.attention(self.norms[0](x), future)
        return x + self.network(self.norms[1](x))


class GPT(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(o.vocab, o.dim), nn.Embedding(o.context, o.dim)
        self.blocks = nn.ModuleList(Block(o) for _ in range(o.layers))
        self.norm = nn.LayerNorm(o.dim)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def forward(self, ids):
        seq = ids.shape[1]
        future = torch.ones(seq, seq, dtype=torch.bool).triu(1)
        x = self.tokens(ids) + self.positions.weight[:seq]
        for block in self.blocks:
            x = block(x, future)
        return self.norm(x) @ self.tokens.weight.T


def main():
    a = argparse.ArgumentParser()
    for name in ("layers", "heads", "dim", "hidden", "vocab", "context", "batch", "seq"):
        a.add_argument("--" + name, type=int, required=True)
    a.add_argument("--steps", type=int, default=50)
    a.add_argument("--threads", type=int, default=2)
    o = a.parse_args()
    torch.set_num_threads(o.threads)
    torch.manual_seed(0)
    model = GPT(o)
    parameters = list(model.parameters())
    adam = torch.optim.Adam(parameters, lr=1e-4)
    ids = torch.randint(o.vocab, (o.batch, o.seq + 1))
    times = []
    for _ in range(3 + o.steps):
        start = time.perf_counter()
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        adam.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        adam.step()
        loss.item()
        times.append(1e3 * (time.perf_counter() - start))
    times = sorted(times[3:])
    print(json.dumps(dict(engine="PyTorch " + torch.__version__, params=sum(p.numel() for p in parameters),
                          threads=o.threads, ms_per_step=times[len(times) // 2], ms_min=times[0])))


main()
