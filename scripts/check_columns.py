#!/usr/bin/env python3
"""Lists the lines of more than 120 characters, a tab counting as one, in the files of the working tree that people
write by hand: Go, assembly, Python, shell, and Markdown except its tables."""
import subprocess
import sys

LIMIT = 120
KINDS = ("*.go", "*.s", "*.h", "*.py", "*.sh", "*.md", ".ci/run")

listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *KINDS],
                        check=True, capture_output=True, text=True).stdout
paths = sorted(set(listed.split("\0")) - {""})
assert paths, "no file to check"
found = 0
for path in paths:
    try:
        with open(path, encoding="utf-8") as f:
            lines = f.read().split("\n")
    except FileNotFoundError:  # removed, and not yet committed
        continue
    for number, line in enumerate(lines, 1):
        if len(line) > LIMIT and not (path.endswith(".md") and line.startswith("|")):
            print(f"{path}:{number}: {len(line)} columns, limit {LIMIT}")
            found += 1
sys.exit(found > 0)
