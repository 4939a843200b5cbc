#!/usr/bin/env python3
"""Asks a model every question of the chat data through a pipe, and counts the answers that are right word for word.

    check_answers.py ./gogpt model.safetensors data/chat_training_data.json
"""
import json
import subprocess
import sys

gogpt, model, data = sys.argv[1:]
with open(data, encoding="utf-8") as f:
    pairs = json.load(f)
questions = "".join(p["user"] + "\n" for p in pairs)
result = subprocess.run([gogpt, "chat", f"--model={model}"], input=questions, capture_output=True, text=True,
                        check=True)
answers = result.stdout.splitlines()
assert len(answers) == len(pairs), f"{len(answers)} lines for {len(pairs)} questions"
wrong = [(p, a) for p, a in zip(pairs, answers) if a != p["assistant"]]
for p, a in wrong:
    print(f"{p['user']} → {a}, not {p['assistant']}")


def language_of(p):
    return "Chinese" if any(c > "\u2e7f" for c in p["user"]) else "English"


for language in "Chinese", "English":
    total = sum(language_of(p) == language for p in pairs)
    right = total - sum(language_of(p) == language for p, _ in wrong)
    print(f"{language}: {right} of {total} answers word for word")
    if right < 0.95 * total:
        sys.exit(1)
