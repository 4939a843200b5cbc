#!/usr/bin/env python3
"""Products of the trainer in OpenBLAS (through NumPy) and in GoGPT, turn by turn: best and median GFLOP/s of several
rounds.

    /usr/bin/python3 scripts/bench/openblas.py ./gogpt [threads]

Needs Debian's python3-numpy and libopenblas0-pthread. OPENBLAS_VERBOSE=2 shows the kernel that OpenBLAS chose.
"""
import json
import os
import statistics
import subprocess
import sys
import time

THREADS = sys.argv[2] if len(sys.argv) > 2 else "2"
os.environ["OPENBLAS_NUM_THREADS"] = THREADS
import numpy  # noqa: E402  the number of threads is read when it is loaded

print(f"| M, N, K on {THREADS} threads | GoGPT median (best) | OpenBLAS median (best) |\n|---|---|---|")
for shape in ("1024,1024,1024", "1024,768,256", "1024,256,768", "1024,2048,256",
              "256,768,1024", "2048,1536,384", "256,3072,768", "24,768,256"):
    m, n, k = map(int, shape.split(","))
    x, y = numpy.random.rand(m, k).astype("f"), numpy.random.rand(k, n).astype("f")
    z = numpy.empty((m, n), "f")
    ours, theirs = [], []
    for _ in range(5):
        command = [sys.argv[1], "bench", f"--gemm={shape}", f"--threads={THREADS}", "--steps=40", "--json"]
        r = json.loads(subprocess.check_output(command))
        ours += [r["ms"], r["ms_min"]]
        for _ in range(43):
            start = time.perf_counter()
            numpy.dot(x, y, out=z)
            theirs.append(1e3 * (time.perf_counter() - start))
    rate = 2 * m * n * k / 1e6
    print(f"| {shape} | {rate / statistics.median(ours[::2]):.0f} ({rate / min(ours):.0f}) | "
          f"{rate / statistics.median(theirs):.0f} ({rate / min(theirs):.0f}) |", flush=True)
