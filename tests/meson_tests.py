#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# Runs the tests of a meson build directory and prints one TAP line a test case, its name behind
# LABEL and the suite: meson itself counts a whole executable as one test.
import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys

CASE = re.compile(r"^(ok|not ok) \d+(?: - (.*))?$")
SKIPPED = re.compile(r"^(?:not )?ok (\d+) # SKIP (.*)$", re.M)  # cmocka's skip()
PLAN = re.compile(r"^1\.\.(\d+)$", re.M)
TAIL = 60  # lines of a failed test's output that are shown


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("--label", default="")
    p.add_argument("--suite", action="append", help="only these suites")
    p.add_argument("--match", default="", help="only tests whose name matches")
    p.add_argument("--targets", action="store_true", help="print what to build, run nothing")
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    p.add_argument("build")
    return p.parse_args()


def suites(test):
    return {s.split(":")[-1] for s in test["suite"]}


def chosen(args):
    text = subprocess.run(
        ["meson", "introspect", "--tests", args.build], check=True, stdout=subprocess.PIPE
    ).stdout
    for test in json.loads(text):
        if args.suite and not suites(test) & set(args.suite):
            continue
        if re.search(args.match, test["name"]):
            yield test


def run(test, build):
    """The exit status (or a reason) and the output of one executable."""
    environment = dict(os.environ, **test["env"])
    timeout = max(test["timeout"], 30) * 10
    try:
        done = subprocess.run(
            test["cmd"], env=environment, cwd=test["workdir"] or build, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
        )
        return done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as e:
        return f"no end after {timeout} s", (e.stdout or b"").decode(errors="replace")


def report(label, test, status, output):
    """Lines of one executable's cases; what went wrong beside them is a case of its own."""
    suite = "/".join(sorted(suites(test)))
    name = f"{label}{suite}: {test['name']}"
    lines, failed = [], False
    output = SKIPPED.sub(r"ok \1 - \2 (cannot run here)", output)
    cases = [CASE.match(line) for line in output.splitlines()]
    cases = [c for c in cases if c]
    for case in cases:
        failed |= case[1] != "ok"
        lines.append(f"{case[1]} - {name}: {case[2] or ''}")
    plan = PLAN.search(output)
    if test["protocol"] == "tap" and (not plan or int(plan[1]) != len(cases)):
        failed = True
        lines.append(f"not ok - {name}: ended before all its cases (status {status})")
    elif status != 0 and not failed:
        failed = True
        lines.append(f"not ok - {name}: status {status}")
    elif not cases:
        lines.append(f"ok - {name}")
    if failed:
        lines += ["# " + line for line in output.splitlines()[-TAIL:]]
    return "\n".join(lines) + "\n", failed


def main():
    args = arguments()
    tests = list(chosen(args))
    if args.targets:
        print("\n".join(sorted({os.path.relpath(t["cmd"][0], args.build) for t in tests})))
        return
    label = args.label + "/" if args.label else ""
    any_failed = False
    # The longest first, so that no core waits at the end.
    tests.sort(key=lambda t: -t["timeout"])
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        running = {pool.submit(run, t, args.build): t for t in tests}
        for future in concurrent.futures.as_completed(running):
            text, failed = report(label, running[future], *future.result())
            any_failed |= failed
            os.write(1, text.encode())
    sys.exit(1 if any_failed or not tests else 0)


main()
