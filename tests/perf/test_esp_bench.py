#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# usage: test_esp_bench.py ESP_BENCH ESP_BENCH_WRONG
#
# What esp_bench says is JSON with the keys that perf/report.py and the plots count on, in each mode, and
# none of its packets gets lost or comes out wrong. No time is judged here: a row that contradicts
# itself (exit status 3), as on a busy machine, may be missing. ESP_BENCH_WRONG has packets that do get
# lost or come out wrong (wrong_oracle.c): its rows are void.
import json
import os
import subprocess
import sys
import time

HEAD = ["direction", "suite", "size", "tunnels", "workers", "order"]
CYCLES = HEAD + ["gateway_cycles", "crypto_cycles", "ratio", "mpps", "gbps", "stages"]
LATENCY = ["load", "capacity_mpps", "mpps", "p50_us", "p99_us", "p999_us", "packets", "missed"]
SUITES = ["aes128gcm16", "chacha20poly1305", "aes128-sha256", "aes256ctr-sha1"]
STAGES = ["rx", "classify", "esp_in", "route", "esp_out", "tx", "other"]
IMIX = (7 * 64 + 4 * 576 + 1500) / 12
TWO_CPUS = len(os.sched_getaffinity(0)) > 1


def quietly(bench, *options, **environment):
    return subprocess.run([bench, "--json", "--quick", *options], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.PIPE, check=False, env=dict(os.environ, **environment))


def run(bench, *options):
    """The status and what was printed; stderr too where packets were lost."""
    done = quietly(bench, *options)
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


def near(value, want):
    return abs(value - want) <= 0.002 * want


def every_option(bench, _):
    """All at once, by the names and in the forms that they are known by."""
    rows = rows_of(bench, CYCLES, "--direction", "both", "--suite", "aes128gcm16", "--size", "64,imix",
                   "--tunnels", "1,3", "--workers", "1", "--order", "random", "--stages")
    wanted = [(d, s, t) for t in (1, 3) for s in (64, "imix") for d in ("in", "out")]
    if rows is None or any((r["direction"], r["size"], r["tunnels"]) not in wanted for r in rows):
        return False
    for r in rows:
        stages = r["stages"]
        if list(stages) != STAGES or stages["rx"] <= 0 or stages["esp_" + r["direction"]] <= 0:
            return False
        # gbps: of inner packets' bits. Both are rounded to four places.
        if not near(r["gbps"], r["mpps"] * (IMIX if r["size"] == "imix" else r["size"]) * 8e-3):
            return False
    return len([r for r in rows if r["tunnels"] == 1]) == 4


def void(_, what):
    """No row; the status and stderr say so. Without the fault there is one."""
    fault, direction = what
    done = quietly(sys.argv[2], "--size", "64", "--tunnels", "1", "--direction", direction, FAULT=fault)
    if not fault:
        return done.returncode == 0 and len(json.loads(done.stdout)) == 1
    return done.returncode == 1 and json.loads(done.stdout) == [] and "void: " in done.stderr


def out_of_time(bench, _):
    begin = time.monotonic()
    done = quietly(bench, "--seconds", "2", "--tunnels", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16")
    rows = json.loads(done.stdout)
    return (done.returncode == 4 and len(rows) < 96 and "rows are left out" in done.stderr and
            time.monotonic() - begin < 60)


def latency(bench, _):
    if not TWO_CPUS:
        return run(bench, "--latency")[0] == 2
    rows = rows_of(bench, HEAD + LATENCY, "--size", "64", "--tunnels", "8", "--latency")
    loads = [(r["direction"], r["load"]) for r in rows or []]
    if loads != [(d, share) for d in ("in", "out") for share in (0.1, 0.5, 0.9)]:
        return False
    for r in rows:
        times = [t for t in (r["p50_us"], r["p99_us"], r["p999_us"]) if t is not None]
        if times != sorted(times) or any(t <= 0 for t in times) or r["packets"] < 1000:
            return False
        if len(times) < 3 and r["missed"] == 0:
            return False
    return True


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
    ("every option", every_option, None),
    ("void: nothing is", void, ("", "in")),
    ("void: one packet is lost", void, ("icv", "in")),
    ("void: another text is decrypted", void, ("text", "in")),
    ("void: another text is encrypted", void, ("open", "out")),
    ("out of time", out_of_time, None),
    ("hand-off", mode, (["--handoff"], ["own_cycles", "crossed_cycles", "handoff_cycles"])),
    ("updates", mode, (["--updates", "10000"],
                       ["updates_per_s", "mpps_without", "mpps_with", "share", "lost"])),
    ("latency", latency, None),
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
