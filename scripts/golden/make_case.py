#!/usr/bin/env python3
"""Writes a golden case: a small GPT-2 that PyTorch computes in float64, for `gogpt gradcheck --golden=FILE`.

Needs Debian's python3-torch and python3-numpy.

    make_case.py --layers 2 --heads 1 --dim 9 --hidden 13 --vocab 23 --context 7 --lengths 8,2,3 case.safetensors

Weights are stored as float32, and the computation starts from those rounded values, so that both sides begin alike.
"""
import argparse
import json
import math
import struct

import torch
import torch.nn.functional as F

BETA1, BETA2, EPS, CLIP = 0.9, 0.999, 1e-8, 1.0


def arguments():
    a = argparse.ArgumentParser()
    for name, default in dict(layers=2, heads=1, dim=9, hidden=13, vocab=23, context=7, seed=1, steps=6).items():
        a.add_argument("--" + name, type=int, default=default)
    a.add_argument("--lengths", default="8,2,3", help="tokens of each sequence, at least 2")
    a.add_argument("--smoothing", type=float, default=0.0)
    a.add_argument("--decay", type=float, default=0.0)
    a.add_argument("--lr", type=float, default=1e-3)
    a.add_argument("out")
    return a.parse_args()


def initial_weights(o):
    """Every parameter by its Hugging Face name; deviations large enough that no gradient vanishes."""
    C, H = o.dim, o.hidden
    shapes = {"wte.weight": (o.vocab, C), "wpe.weight": (o.context, C)}
    for i in range(o.layers):
        h = f"h.{i}."
        for ln in ("ln_1", "ln_2"):
            shapes |= {h + ln + ".weight": (C,), h + ln + ".bias": (C,)}
        for name, rows, cols in (("attn.c_attn", C, 3 * C), ("attn.c_proj", C, C),
                                 ("mlp.c_fc", C, H), ("mlp.c_proj", H, C)):
            shapes |= {h + name + ".weight": (rows, cols), h + name + ".bias": (cols,)}
    shapes |= {"ln_f.weight": (C,), "ln_f.bias": (C,)}
    weights = {}
    for name, shape in shapes.items():
        w = torch.randn(shape, dtype=torch.float64) * 0.2
        if name.endswith("weight") and len(shape) == 1:
            w += 1
        weights[name] = w.float().double().requires_grad_()
    return weights


def logits(w, o, ids):
    """[T, V] of one sequence."""
    T, C, d = len(ids), o.dim, o.dim // o.heads
    x = w["wte.weight"][ids] + w["wpe.weight"][:T]
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    for i in range(o.layers):
        h = f"h.{i}."

        def linear(y, name):
            return y @ w[h + name + ".weight"] + w[h + name + ".bias"]

        def norm(y, name):
            return F.layer_norm(y, (C,), w[h + name + ".weight"], w[h + name + ".bias"], 1e-5)

        q, k, v = (t.view(T, o.heads, d).transpose(0, 1) for t in linear(norm(x, "ln_1"), "attn.c_attn").split(C, 1))
        scores = (q @ k.transpose(1, 2) / math.sqrt(d)).masked_fill(future, float("-inf"))
        x = x + linear((scores.softmax(-1) @ v).transpose(0, 1).reshape(T, C), "attn.c_proj")
        x = x + linear(F.gelu(linear(norm(x, "ln_2"), "mlp.c_fc"), approximate="tanh"), "mlp.c_proj")
    return F.layer_norm(x, (C,), w["ln_f.weight"], w["ln_f.bias"], 1e-5) @ w["wte.weight"].T


def mean_loss(w, o, sequences):
    rows = torch.cat([logits(w, o, s[:-1]) for s in sequences])
    return F.cross_entropy(rows, torch.tensor([t for s in sequences for t in s[1:]]), label_smoothing=o.smoothing)


def greedy(w, o, prompt, length):
    ids = list(prompt)
    while len(ids) < length:
        ids.append(int(logits(w, o, ids)[-1].argmax()))
    return ids


def train(w, o, sequences):
    """Full-batch AdamW, decay on matrices only; returns losses and norms of every step."""
    matrices = [p for p in w.values() if p.dim() == 2]
    others = [p for p in w.values() if p.dim() != 2]
    optimizer = torch.optim.AdamW([dict(params=matrices, weight_decay=o.decay), dict(params=others, weight_decay=0.0)],
                                  lr=o.lr, betas=(BETA1, BETA2), eps=EPS)
    losses, norms = [], []
    for _ in range(o.steps):
        optimizer.zero_grad()
        loss = mean_loss(w, o, sequences)
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(list(w.values()), CLIP)))
        losses.append(float(loss))
        optimizer.step()
    return losses, norms


def write(path, tensors, metadata):
    header, offset, blobs = {"__metadata__": metadata}, 0, []
    for name, t in tensors.items():
        blob = t.detach().float().contiguous().numpy().tobytes()
        header[name] = dict(dtype="F32", shape=list(t.shape), data_offsets=[offset, offset + len(blob)])
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def main():
    o = arguments()
    torch.manual_seed(o.seed)
    w = initial_weights(o)
    sequences = [torch.randint(o.vocab, (int(n),)).tolist() for n in o.lengths.split(",")]
    tensors = {"param/" + name: p.detach().clone() for name, p in w.items()}
    tensors["logits/0"] = logits(w, o, sequences[0][:-1]).detach()
    continuation = greedy(w, o, sequences[0][:2], o.context)
    loss = mean_loss(w, o, sequences)
    loss.backward()
    tensors |= {"grad/" + name: p.grad.clone() for name, p in w.items()}
    losses, norms = train(w, o, sequences)
    tensors |= {"trained/" + name: p.detach().clone() for name, p in w.items()}
    config = dict(model_type="gpt2", vocab_size=o.vocab, n_embd=o.dim, n_head=o.heads, n_inner=o.hidden,
                  n_positions=o.context, n_layer=o.layers, layer_norm_epsilon=1e-5, activation_function="gelu_new",
                  tie_word_embeddings=True)
    run = dict(steps=o.steps, lr=o.lr, beta1=BETA1, beta2=BETA2, eps=EPS, weight_decay=o.decay, clip=CLIP)
    values = dict(config=config, sequences=sequences, label_smoothing=o.smoothing, loss=float(loss), grad_norm=norms[0],
                  train=run, losses=losses, grad_norms=norms, greedy=continuation)
    write(o.out, tensors, {"format": "pt"} | {key: json.dumps(value) for key, value in values.items()})


main()
