#!/usr/bin/env python3
"""Prints the tables of docs/experiments.md from the folder that run.sh filled: means over seeds ± their sample standard
deviation.

    tables.py FOLDER
"""
import json
import os
import statistics
import sys

folder = sys.argv[1]


def events(name):
    with open(os.path.join(folder, name + ".jsonl"), encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def epochs(log, phase):
    return [e for e in log if e["event"] == "epoch" and e["phase"] == phase]


def spread(values, digits=3):
    return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def table(*rows):
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows[1:]:
        print("| " + " | ".join(row) + " |")
    print()


def verdicts(logs, phase):
    healthy = sum(log[-1]["health"][phase]["verdict"] == "healthy" for log in logs)
    return f"{healthy} of {len(logs)}"


def exact(name, data):
    with open(os.path.join(folder, f"{name}-{data}.json"), encoding="utf-8") as f:
        return json.load(f)["exact_match"]


def short_run():
    rows = [("seed", "loss, first epoch", "loss, last epoch", "perplexity", "gradient norm, first → last epoch",
             "clipped steps", "health")]
    for seed in "123":
        log = events(f"m1-{seed}")
        run = epochs(log, "pretrain")
        rows.append((seed, f"{run[0]['avg_loss']:.3f}", f"{run[-1]['avg_loss']:.3f}", f"{run[-1]['ppl']:.2f}",
                     f"{run[0]['avg_grad_norm']:.2f} → {run[-1]['avg_grad_norm']:.2f}",
                     f"{100 * statistics.mean(e['clipped_share'] for e in run):.0f} %",
                     log[-1]["health"]["pretrain"]["verdict"]))
    table(*rows)


def tuning():
    rows = [("tuning", "epochs", "best training loss", "held-out loss", "answers word for word", "held-out questions",
             "largest rise of an epoch's loss", "healthy")]
    for name in "before", "after":
        logs = [events(f"m2-{name}-{seed}") for seed in "123"]
        runs = [epochs(log, "finetune") for log in logs]
        rises = [max(max(0, b["avg_loss"] - a["avg_loss"]) for a, b in zip(run, run[1:])) for run in runs]
        rows.append((name, spread([len(run) for run in runs], 0),
                     spread([min(e["avg_loss"] for e in run) for run in runs], 4),
                     spread([log[-1]["heldout_loss"] for log in logs]),
                     spread([100 * exact(f"m2-{name}-{seed}", "chat_training_data") for seed in "123"], 1) + " %",
                     spread([100 * exact(f"m2-{name}-{seed}", "heldout_chat") for seed in "123"], 1) + " %",
                     spread(rises, 4), verdicts(logs, "finetune")))
    table(*rows)


def shakespeare():
    rows = [("attention backward", "training loss, last epoch", "validation loss", "bits per character")]
    for mode, change in ("exact", "stable"), ("stop-gradient",) * 2, ("straight-through",) * 2:
        runs = [epochs(events(f"shakespeare/{change}-{seed}"), "pretrain") for seed in "123"]
        val = [run[-1]["val_loss"] for run in runs]
        rows.append((mode, spread([run[-1]["avg_loss"] for run in runs]), spread(val),
                     f"{statistics.mean(val) / 0.693147:.2f}"))
    table(*rows)


def laboratory():
    rows = [("step", "mode", "relative error", "cosine", "norm ratio", "relative error below the blocks",
             "cosine there")]
    for e in events("laboratory"):
        if e["event"] == "attn_gradient" and e["step"] in (1260, 3780, 7560):
            for mode in "stop-gradient", "straight-through":
                of_mode = {r["tensor"]: r for r in e["rows"] if r["mode"] == mode}
                whole, below = of_mode["all parameters"], of_mode["h.0 (input)"]
                rows.append((str(e["step"]), mode, f"{whole['rel_err']:.2f}", f"{whole['cosine']:.2f}",
                             f"{whole['norm_ratio']:.2f}", f"{below['rel_err']:.2f}", f"{below['cosine']:.2f}"))
    table(*rows)


def changes(name):
    with open(os.path.join(folder, name, "ablation.json"), encoding="utf-8") as f:
        return json.load(f)["changes"]


def smoothing():
    rows = [("learning rate", "best validation loss without", "with smoothing 0.1", "difference", "verdict")]
    for rate, name in ("5e-5", "ablation-lr-half"), ("1e-4", "ablation"), ("2e-4", "ablation-lr-x2"):
        without, smooth = (next(c for c in changes(name) if c["name"] == n) for n in ("stable", "smooth"))
        both = lambda c, key: f"{c[key]['mean']:.3f} ± {c[key]['spread']:.3f}"
        rows.append((rate, both(without, "best_val_loss"), both(smooth, "best_val_loss"),
                     both(smooth, "difference"), smooth["verdict"]))
    table(*rows)


def ablations():
    rows = [("change", "flags", "best validation loss", "at epoch", "difference to stable", "last training loss",
             "diverged", "healthy", "verdict")]
    for c in changes("ablation"):
        def both(key, digits):
            if c[key]["mean"] is None:
                return "–"
            return f"{c[key]['mean']:.{digits}f} ± {c[key]['spread']:.{digits}f}"

        rows.append((c["name"], f"`{' '.join(c['flags'] or [])}`" if c["flags"] else "–",
                     both("best_val_loss", 3), both("best_epoch", 1),
                     "–" if c["name"] == "stable" else both("difference", 3), both("final_train_loss", 3),
                     f"{c['diverged']} of {c['runs']}", f"{c['healthy']} of {c['runs']}", c["verdict"]))
    table(*rows)


short_run()
tuning()
ablations()
smoothing()
shakespeare()
laboratory()
