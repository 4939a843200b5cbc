#!/usr/bin/env python3
"""Checks the log of `gogpt --quick --no-interactive --log-json=FILE`: 30 epochs, falling loss, a run line and
an end line with the loss on the held-out questions, which only a tuned model answers."""
import json
import math
import sys

with open(sys.argv[1], encoding="utf-8") as f:
    lines = [json.loads(line) for line in f]
epochs = [r for r in lines if r["event"] == "epoch"]
assert lines[0]["event"] == "run" and lines[-1]["event"] == "end", "the log begins with run and ends with end"
assert lines[-1]["reason"] == "completed", lines[-1]
assert math.isfinite(lines[-1]["heldout_loss"]), lines[-1]
assert "heldout_exact_match" not in lines[-1], "no tuning, no answers"
assert [r["epoch"] for r in epochs] == list(range(1, 31)), "30 epochs in order"
assert all(r["phase"] == "pretrain" and r["epochs"] == 30 and r["accum"] == 1 and r["frozen"] == [] for r in epochs)
assert all(math.isclose(r["ppl"], math.exp(r["avg_loss"]), rel_tol=1e-6) for r in epochs), "ppl is exp(avg_loss)"
losses = [r["avg_loss"] for r in epochs]
assert all(b < a for a, b in zip(losses, losses[1:])), "the loss falls every epoch"
assert losses[-1] < losses[0] / 3, "and by a lot"
assert lines[-1]["health"]["pretrain"]["verdict"] == "healthy", lines[-1]
print("log:", len(epochs), "epochs, loss", losses[0], "to", losses[-1])
