#!/usr/bin/env python3
"""Prints Markdown tables of time per training step against threads, context, dim and vocabulary, and of the products
of the trainer.

    scripts/bench/scaling.py ./gogpt
"""
import json
import subprocess
import sys


def bench(*flags):
    command = [sys.argv[1], "bench", "--json", *(f"--{f}" for f in flags)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def table(title, rows):
    print(f"\n| {title} | ms a step (best) | tokens/s | GFLOP/s | of peak |\n|---|---|---|---|---|")
    for label, flags in rows:
        r = bench(*flags)
        print(f"| {label} | {r['ms_per_step']:.2f} ({r['ms_min']:.2f}) | {r['tokens_per_sec']:.0f} | "
              f"{r['gflops']:.0f} | {100 * r['efficiency']:.0f} % |", flush=True)


base = ["layers=2", "dim=256", "heads=8", "hidden=1024", "vocab=2048", "steps=15"]
table("threads, case tiny16", [(n, ["case=tiny16", f"threads={n}", "steps=20"]) for n in (1, 2)])
table("threads, case mid", [(n, ["case=mid", f"threads={n}", "steps=3"]) for n in (1, 2)])
table("context, 4,096 tokens a step",
      [(n, [*base, f"context={n}", f"seq={n}", f"batch={4096 // n}", "steps=5"]) for n in (64, 256, 1024, 4096)])
table("dim, 16 × 64 tokens",
      [(n, ["layers=2", "heads=8", "vocab=2048", f"dim={n}", f"hidden={4 * n}", "batch=16", "seq=64", "steps=8"])
       for n in (64, 128, 256, 512, 1024)])
table("vocabulary, 16 × 64 tokens",
      [(n, [*base, f"vocab={n}", "batch=16", "seq=64"]) for n in (256, 1024, 4096, 16384)])

print("\n| product M, N, K | GFLOP/s | of peak |\n|---|---|---|")
for shape in ("1024,1024,1024", "1024,768,256", "1024,256,768", "1024,2048,256",
              "256,768,1024", "24,768,256", "24,2048,256", "1,768,768"):
    r = bench(f"gemm={shape}", "steps=60")
    print(f"| {shape} | {r['gflops']:.0f} | {100 * r['efficiency']:.0f} % |", flush=True)
