#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# usage: test_esp_bench.py ESP_BENCH
#
# What esp_bench says is JSON with the keys that perf/report.py and the plots count on, in each mode, and
# none of its packets gets lost or comes out wrong. No time is judged here: a row that contradicts
# itself (exit status 3), as on a busy machine, may be missing.
import json
import os
import subprocess
import sys

HEAD = ["direction", "suite", "size", "tunnels", "workers", "order"]
CYCLES = HEAD + ["gateway_cycles", "crypto_cycles", "ratio", "mpps", "gbps", "stages"]
SUITES = ["aes128gcm16", "chacha20poly1305", "aes128-sha256", "aes256ctr-sha1"]
TWO_CPUS = len(os.sched_getaffinity(0)) > 1


def run(bench, *options):
    """The status and what was printed; stderr too where packets were lost."""
    done = subprocess.run([bench, "--json", "--quick", *options], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 2, 3):
        print("\n".join("# " + line for line in done.stderr.splitlines()[-20:]))
    return done.returncode, done.stdout


def rows_of(bench, keys, *options):
    """The rows, each of just these keys, or None."""
    status, text = run(bench, *options)
    if status not in (0, 3):
        return None
    rows = json.loads(text)
    wrong = [r for r in rows if list(r) != keys]
    if wrong:
        print(f"# keys: {list(wrong[0])}")
    return None if wrong or (status == 0 and not rows) else rows


def cycles(bench, suite):
    rows = rows_of(bench, CYCLES, "--suite", suite, "--size", "imix", "--tunnels", "1")
    # One tunnel: there is no row that could contradict itself.
    if not rows or [r["direction"] for r in rows] != ["in", "out"]:
        return False
    return all(r["suite"] == suite and r["gateway_cycles"] > 0 and r["crypto_cycles"] > 0 and
               abs(r["ratio"] - r["crypto_cycles"] / r["gateway_cycles"]) < 0.01 and
               r["size"] == "imix" for r in rows)


def many(bench, order):
    rows = rows_of(bench, CYCLES, "--size", "100", "--tunnels", "70", "--order", order,
                   "--direction", "in")
    return rows is not None and all(r["order"] == order and r["tunnels"] == 70 for r in rows)


def stages(bench, _):
    rows = rows_of(bench, CYCLES, "--size", "64", "--tunnels", "1", "--stages")
    return bool(rows) and all(isinstance(r["stages"], dict) for r in rows)


def mode(bench, what):
    options, keys = what
    if not TWO_CPUS:
        return run(bench, *options)[0] == 2
    rows = rows_of(bench, HEAD + keys, "--size", "64", "--tunnels", "8", "--direction", "out", *options)
    return bool(rows)


def refusals(bench, _):
    wrong = (["--size", "39"], ["--tunnels", "0"], ["--suite", "nonsense"], ["--order", "sorted"],
             ["--direction", "up"], ["--workers", "99"], ["--nonsense"], ["--size", ""])
    return all(run(bench, *w)[0] == 2 for w in wrong)


CASES = [(f"rows of {s}", cycles, s) for s in SUITES]
CASES += [(f"order {o}", many, o) for o in ("random", "roundrobin", "zipf")]
CASES += [
    ("stages", stages, None),
    ("hand-off", mode, (["--handoff"], ["own_cycles", "crossed_cycles", "handoff_cycles"])),
    ("updates", mode, (["--updates", "10000"],
                       ["updates_per_s", "mpps_without", "mpps_with", "share", "lost"])),
    ("latency", mode, (["--latency"], ["load", "capacity_mpps", "mpps", "p50_us", "p99_us", "p999_us",
                                      "packets", "missed"])),
    ("refused options", refusals, None),
]


def main():
    print(f"1..{len(CASES)}")
    failed = False
    for n, (name, test, argument) in enumerate(CASES, 1):
        ok = test(sys.argv[1], argument)
        failed |= not ok
        print(f"{'ok' if ok else 'not ok'} {n} - {name}", flush=True)
    sys.exit(1 if failed else 0)


main()
