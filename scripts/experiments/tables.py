#!/usr/bin/env python3
"""Prints the tables of docs/experiments.md from the folder that run.sh filled, and from the summaries of the studies in
docs/studies: means over seeds ± their sample standard deviation.

    tables.py FOLDER
"""
import json
import os
import statistics
import sys

folder = sys.argv[1]
studies = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "studies")


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


def summary(name):
    with open(os.path.join(studies, name + ".json"), encoding="utf-8") as f:
        return json.load(f)


def both(figure, digits=3):
    if figure["mean"] is None:
        return "–"
    if figure["spread"] is None:
        return f"{figure['mean']:.{digits}f}"
    return f"{figure['mean']:.{digits}f} ± {figure['spread']:.{digits}f}"


def grid(study, column, figure=lambda c, s: both(c["outcomes"][s["outcome"]])):
    """A table of one figure: a row for every combination of the other factors, a column for every level of one."""
    at = study["factors"].index(column)
    others = [f for f in study["factors"] if f != column]
    levels = list(dict.fromkeys(c["cell"][at] for c in study["cells"]))
    rows = {}
    for c in study["cells"]:
        key = tuple(level for i, level in enumerate(c["cell"]) if i != at)
        rows.setdefault(key, {})[c["cell"][at]] = figure(c, study)
    table((*others, *levels), *((*key, *(row[level] for level in levels)) for key, row in rows.items()))


def comparisons(study):
    rows = [("comparison", "difference", "interval", "predicted", "verdict")]
    for c in study["comparisons"]:
        interval = "–" if c["low"] is None else f"{c['low']:.3f} … {c['high']:.3f}"
        rows.append((c["question"], both(c["sum"]), interval, c["prediction"] or "–", c["verdict"]))
    table(*rows)


def releases(study, wanted=lambda cell: True):
    rows = [(*study["factors"], "after step", "loss before → after", "gradient norm before → after", "largest norm")]
    for c in filter(lambda c: wanted(c["cell"]), study["cells"]):
        for r in c["releases"]:
            rows.append((*c["cell"], both(r["step"], 0), f"{both(r['loss_before'])} → {both(r['loss_after'])}",
                         f"{both(r['norm_before'], 2)} → {both(r['norm_after'], 2)}", both(r["norm_peak"], 1)))
    table(*rows)


def freezing(name):
    study = summary(name)
    comparisons(study)
    grid(study, "rate")
    grid(study, "rate", lambda c, _: f"{both(c['difference'])} {c['effect']}")
    grid(study, "rate", lambda c, _: both(c["largest_rise"], 2))
    grid(study, "rate", lambda c, _: both(c["norm_rise"], 2))
    grid(study, "rate", lambda c, _: str(c["diverged"]))
    releases(study, lambda cell: cell[1] == "3e-3")


def cells(name, *outcomes):
    study = summary(name)
    comparisons(study)
    rows = [(*study["factors"], *(o.replace("_", " ") for o in outcomes), "largest rise", "diverged")]
    for c in study["cells"]:
        rows.append((*c["cell"], *(both(c["outcomes"][o]) for o in outcomes), both(c["largest_rise"]),
                     str(c["diverged"])))
    table(*rows)


def ladder():
    study = summary("ladder")
    comparisons(study)
    grid(study, "rate")
    grid(study, "rate", lambda c, _: "breaks" if c["breaks"] else "–")


def laboratory(name, *steps):
    rows = [("step", "mode", "relative error", "cosine", "norm ratio", "relative error below the blocks",
             "cosine there")]
    for e in events(name):
        if e["event"] == "attn_gradient" and e["step"] in steps:
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
        rows.append((rate, both(without["best_val_loss"]), both(smooth["best_val_loss"]), both(smooth["difference"]),
                     smooth["verdict"]))
    table(*rows)


def ablations():
    rows = [("change", "flags", "best validation loss", "at epoch", "difference to stable", "last training loss",
             "diverged", "healthy", "verdict")]
    for c in changes("ablation"):
        rows.append((c["name"], f"`{' '.join(c['flags'] or [])}`" if c["flags"] else "–",
                     both(c["best_val_loss"]), both(c["best_epoch"], 1),
                     "–" if c["name"] == "stable" else both(c["difference"]), both(c["final_train_loss"]),
                     f"{c['diverged']} of {c['runs']}", f"{c['healthy']} of {c['runs']}", c["verdict"]))
    table(*rows)


def cosines(name):
    """The cosine of every tensor by (mode, tensor): the mean over the comparisons of a run."""
    found = {}
    for e in events(name):
        for r in e["rows"] if e["event"] == "attn_gradient" else []:
            found.setdefault((r["mode"], r["tensor"]), []).append(r["cosine"])
    return {key: statistics.mean(values) for key, values in found.items()}


LENGTHS = "short", "long"


def approximations():
    """What each approximation is worth, on short and on long sequences: its gradient, its cost, where it breaks."""
    study = summary("ladder")
    rows = [("backward", "sequences", "cosine, all parameters", "cosine, wte", "cosine, below the blocks",
             "cost at 1e-3", "breaks at")]
    for mode in "exact", "stop-gradient", "straight-through":
        for length in LENGTHS:
            cells = [c for c in study["cells"] if c["cell"][0] == length and c["cell"][2] == mode]
            breaks = next((c["cell"][1] for c in cells if c["breaks"]), "–")
            found = cosines("laboratory-" + length)
            rows.append((mode, length, *("–" if mode == "exact" else f"{found[mode, tensor]:.2f}"
                                         for tensor in ("all parameters", "wte.weight", "h.0 (input)")),
                         both(cells[0]["difference"]), breaks))
    table(*rows)


def layers():
    """The cosine of each approximation by tensor and block, on short and on long sequences."""
    found = {length: cosines("laboratory-" + length) for length in LENGTHS}
    blocks = range(4)
    rows = [("backward", "weights", *(f"{length}, block {block}" for length in LENGTHS for block in blocks))]
    for mode in "stop-gradient", "straight-through":
        for part in ("attn.c_attn.weight[q]", "attn.c_attn.weight[k]", "attn.c_attn.weight[v]", "attn.c_proj.weight",
                     "mlp.c_fc.weight", "mlp.c_proj.weight"):
            rows.append((mode, part.replace(".weight", ""), *(f"{found[length][mode, f'h.{block}.{part}']:.2f}"
                                                              for length in LENGTHS for block in blocks)))
    table(*rows)


short_run()
freezing("freezing")
freezing("freezing-text")
cells("release", "train_loss")
releases(summary("release"))
cells("tuning", "heldout_loss", "heldout_exact_match", "train_loss")
cells("cooldown", "heldout_loss", "heldout_exact_match", "train_loss")
ladder()
ablations()
smoothing()
laboratory("laboratory", 1260, 3780, 7560)
approximations()
layers()
