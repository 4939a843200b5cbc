#!/usr/bin/env python3
"""Lists the functions that neither the program nor a test reaches in any of the configurations that build them.

    check_deadcode.py DEADCODE <CONFIGURATIONS

DEADCODE is the tool (golang.org/x/tools/cmd/deadcode). The configurations are lines as `staticcheck -matrix` reads
them: a name, environment variables, flags of the build, for example "purego: GOOS=linux GOARCH=amd64 -tags=purego".
"""
import json
import os
import subprocess
import sys

FILES = "{{$d := .Dir}}" + "".join(f"{{{{range .{kind}}}}}{{{{$d}}}}/{{{{.}}}}\n{{{{end}}}}"
                                   for kind in ("GoFiles", "TestGoFiles", "XTestGoFiles"))


def run(environment, *command):
    return subprocess.run(command, env=os.environ | environment, check=True, stdout=subprocess.PIPE, text=True).stdout


builds = {}  # file → configurations that build it
dead = {}  # function → configurations that do not reach it
for line in sys.stdin:
    name, _, words = line.partition(":")
    environment = dict(word.split("=", 1) for word in words.split() if not word.startswith("-"))
    flags = [word for word in words.split() if word.startswith("-")]
    for path in run(environment, "go", "list", "-f", FILES, *flags, "./...").split("\n"):
        builds.setdefault(os.path.relpath(path or "."), set()).add(name)
    for package in json.loads(run(environment, sys.argv[1], "-test", "-json", *flags, "./...")) or []:
        for function in package["Funcs"]:
            at = function["Position"]
            key = os.path.relpath(at["File"]), at["Line"], function["Name"]
            dead.setdefault(key, set()).add(name)

found = sorted(key for key, names in dead.items() if names >= builds[key[0]])
for path, number, function in found:
    print(f"{path}:{number}: nothing reaches {function}")
sys.exit(len(found) > 0)
