#!/usr/bin/env python3
"""Compares `gogpt bench` with PyTorch in one run: the cases of the program, turn by turn, several rounds.

    scripts/bench/compare.py ./gogpt [--rounds 3] [--cases tiny,tiny16,nano,mid,gpt2] [--yardstick torch_step.py]

Prints a Markdown table: the median of GoGPT's rounds, the best step that PyTorch ever made, and their ratio.
"""
import argparse
import json
import os
import statistics
import subprocess

CASES = {
    "tiny": (dict(layers=2, dim=256, heads=8, hidden=512, vocab=2048, context=128, batch=1, seq=24), 300),
    "tiny16": (dict(layers=2, dim=256, heads=8, hidden=512, vocab=2048, context=128, batch=16, seq=64), 30),
    "nano": (dict(layers=4, dim=128, heads=4, hidden=512, vocab=65, context=64, batch=12, seq=64), 60),
    "mid": (dict(layers=6, dim=384, heads=6, hidden=1536, vocab=4096, context=256, batch=8, seq=256), 5),
    "gpt2": (dict(layers=12, dim=768, heads=12, hidden=3072, vocab=50257, context=1024, batch=4, seq=64), 3),
}


def measure(command, **environment):
    env = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    return json.loads(subprocess.run(command, env=env | environment, check=True, capture_output=True, text=True).stdout)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("gogpt")
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--cases", default=",".join(CASES))
    a.add_argument("--yardstick", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch_step.py"))
    o = a.parse_args()
    print("| case | GoGPT ms (best) | GFLOP/s | of peak | MB | PyTorch ms (best) | PyTorch best / GoGPT median |")
    print("|---|---|---|---|---|---|---|")
    for name in o.cases.split(","):
        sizes, steps = CASES[name]
        flags = [f"--{k}={v}" for k, v in sizes.items()] + [f"--steps={steps}"]
        ours, theirs = [], []
        for _ in range(o.rounds):
            ours.append(measure([o.gogpt, "bench", "--json", *flags]))
            theirs.append(measure(["/usr/bin/python3", o.yardstick, *flags], OMP_NUM_THREADS="2"))
        median = statistics.median(r["ms_per_step"] for r in ours)
        middle = min(ours, key=lambda r: abs(r["ms_per_step"] - median))
        best = min(r["ms_min"] for r in theirs)
        print(f"| {name} | {median:.2f} ({min(r['ms_min'] for r in ours):.2f}) | {middle['gflops']:.0f} | "
              f"{100 * middle['efficiency']:.0f} % | {middle['rss_mb']:.0f} | "
              f"{statistics.median(r['ms_per_step'] for r in theirs):.1f} ({best:.1f}) | "
              f"{best / median:.2f} |", flush=True)


main()
