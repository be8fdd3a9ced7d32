#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# usage: perf/report.py DIRECTORY
#
# From the JSON of each system under DIRECTORY (perf/run.sh) makes table.md, both libraries side by
# side, and plot.gp, which gnuplot turns into cycles-size.png, cycles-tunnels.png, suites.png.
import json
import os
import sys

SIZES = [64, 128, 256, 512, 1024, 1420, "imix"]
# Cycles at most and ratio at least: AES-128-GCM, random order, one worker, intel-ipsec-mb 1.3.
BARS = {
    (1, 64): (0.50, 230), (1, 512): (0.65, None), (1, 1420): (0.80, 540),
    (1000, 64): (0.45, 260), (1000, 512): (0.60, None), (1000, 1420): (0.75, 560),
    (10000, 64): (0.33, 300), (10000, 512): (0.50, None), (10000, 1420): (0.70, 780),
    (60000, 64): (0.33, 490), (60000, 512): (0.50, None), (60000, 1420): (0.70, 1010),
}
WHAT = {"out": "encryption", "in": "decryption"}


def load(top):
    """{system: {file: content}} of what is there, in order."""
    systems = {}
    for name in sorted(os.listdir(top)):
        folder = os.path.join(top, name)
        if not os.path.exists(os.path.join(folder, "about.json")):
            continue
        systems[name] = {}
        for file in sorted(os.listdir(folder)):
            if file.endswith(".json"):
                with open(os.path.join(folder, file), encoding="utf-8") as f:
                    systems[name][file[:-5]] = json.load(f)
    return systems


def find(rows, **want):
    return [r for r in rows if all(r[k] == v for k, v in want.items())]


def cell(rows, **want):
    found = find(rows, **want)
    return found[0] if found else None


def order_of_sizes(size):
    return SIZES.index(size) if size in SIZES else len(SIZES)


# ---- Table ----


def head(systems):
    lines = ["# Cycles a packet", "", "Made by `perf/run.sh`; what is measured and how stands in",
             "[docs/performance.md](../../docs/performance.md). TSC cycles; void rows are missing.", ""]
    for name, s in systems.items():
        a = s["about"]
        quick = ", with `--quick`" if a["quick"] else ""
        lines.append(f"- **{name}**: {a['cpu']}, TSC {a['tsc_mhz']} MHz, {a['cpus']} CPUs, kernel "
                     f"{a['kernel']}; intel-ipsec-mb {a['ipsec_mb']} ({a['ipsec_mb_arch']}), "
                     f"{a['dpdk']}, {a['openssl']}; commit {a['commit']}, {a['date']}{quick}")
    return lines + [""]


def verdict(row, tunnels, size):
    """Whether a row keeps the bar of the issue, where it has one."""
    bar = BARS.get((tunnels, size))
    if not row or not bar or row["suite"] != "aes128gcm16":
        return ""
    ratio, cycles = bar
    kept = row["ratio"] >= ratio and (cycles is None or row["gateway_cycles"] <= cycles)
    text = f"{ratio:.2f}" + (f" / {cycles}" if cycles else "")
    return f"{text} {'kept' if kept else '**missed**'}"


def table(systems, suite, direction):
    names = list(systems)
    lines = [f"## {suite}, {WHAT[direction]}", ""]
    columns = ["size", "tunnels"]
    for n in names:
        columns += [f"{n}: gateway", "crypto", "ratio", "Mpps", "Gbit/s"]
    columns.append("bar (1.3)")
    lines.append("| " + " | ".join(columns) + " |")
    lines.append("|" + "---|" * len(columns))
    all_rows = [r for n in names for r in systems[n]["cycles"]]
    keys = {(r["size"], r["tunnels"]) for r in find(all_rows, suite=suite, direction=direction)}
    for size, tunnels in sorted(keys, key=lambda k: (order_of_sizes(k[0]), k[1])):
        cells, bar = [str(size), str(tunnels)], ""
        for n in names:
            r = cell(systems[n]["cycles"], suite=suite, direction=direction, size=size,
                     tunnels=tunnels)
            if systems[n]["about"]["ipsec_mb"].startswith("1.3"):
                bar = verdict(r, tunnels, size)
            cells += ["-"] * 5 if not r else [
                f"{r['gateway_cycles']:.0f}", f"{r['crypto_cycles']:.0f}", f"{r['ratio']:.2f}",
                f"{r['mpps']:.2f}", f"{r['gbps']:.1f}"]
        lines.append("| " + " | ".join(cells + [bar]) + " |")
    return lines + [""]


def plain(systems, file, title, keys):
    """A table of the other measurements, one row an object."""
    if not any(s.get(file) for s in systems.values()):
        return []
    first = ["direction", "size", "tunnels"]
    lines = [f"## {title}", "", "| system | " + " | ".join(first + keys) + " |",
             "|" + "---|" * (len(first) + len(keys) + 1)]
    for n, s in systems.items():
        for r in s.get(file, []):
            cells = [n] + [str(r[k]) for k in first]
            cells += ["-" if r[k] is None else f"{r[k]:g}" for k in keys]
            lines.append("| " + " | ".join(cells) + " |")
    return lines + [""]


def stages(systems):
    lines = []
    for n, s in systems.items():
        rows = [r for r in s.get("stages", []) if r["stages"]]
        if not rows:
            continue
        names = list(dict.fromkeys(k for r in rows for k in r["stages"]))
        lines += [f"## Stages, {n}", "", "| direction | size | tunnels | " + " | ".join(names) + " |",
                  "|" + "---|" * (len(names) + 3)]
        for r in rows:
            cells = [r["direction"], str(r["size"]), str(r["tunnels"])]
            cells += [f"{r['stages'][k]:.0f}" if k in r["stages"] else "" for k in names]
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return lines


def tables(systems):
    lines = head(systems)
    rows = [r for s in systems.values() for r in s["cycles"]]
    for suite in dict.fromkeys(r["suite"] for r in rows):
        for direction in ("out", "in"):
            lines += table(systems, suite, direction)
    lines += stages(systems)
    lines += plain(systems, "order", "Zipf's order", ["gateway_cycles", "crypto_cycles", "ratio", "mpps"])
    lines += plain(systems, "workers", "Two workers, in aggregate", ["gateway_cycles", "mpps", "gbps"])
    lines += plain(systems, "scale", "Two workers, how many times as much as one",
                   ["mpps", "times_one", "crypto_times_one"])
    lines += plain(systems, "handoff", "Hand-off, giver and taker",
                   ["own_cycles", "crossed_cycles", "handoff_cycles"])
    lines += plain(systems, "updates", "SA updates under traffic",
                   ["updates_per_s", "mpps_without", "mpps_with", "share", "lost"])
    lines += plain(systems, "latency", "Latency", ["load", "capacity_mpps", "p50_us", "p99_us",
                                                  "p999_us", "missed"])
    return "\n".join(lines)


# ---- Plots ----

COLORS = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd"]


def block(name, points):
    return [f"${name} << EOD"] + [f"{x} {y:.1f}" for x, y in points] + ["EOD"]


class Plot:
    """One PNG of two panels, encryption and decryption."""

    def __init__(self, file, title):
        self.data, self.panels, self.file, self.title = [], {"out": [], "in": []}, file, title

    def line(self, direction, points, title, color, dashed):
        if not points:
            return
        name = f"d{abs(hash(self.file)) % 10**6}_{len(self.data)}"
        self.data += block(name, points)
        style = f"lw 2 lc rgb '{color}'" + (" dt 2 pt 6" if dashed else " pt 7")
        self.panels[direction].append(f"${name} using 1:2 with linespoints {style} title '{title}'")

    def script(self, axis):
        if not all(self.panels.values()):
            return []
        lines = self.data + [
            "set terminal pngcairo size 1400,620 font 'sans,12'", f"set output '{self.file}'",
            f"set multiplot layout 1,2 title '{self.title}' font ',14'", "set grid",
            "set key top left", "set ylabel 'TSC cycles per packet'", "set yrange [0:*]"] + axis
        for direction, what in WHAT.items():
            lines.append(f"set title '{what}'")
            lines.append("plot " + ", ".join(self.panels[direction]))
        return lines + ["unset multiplot", "set output", "unset logscale x"]


def pair(plot, rows, what, title, x, color):
    """Gateway and bound of one set of rows."""
    for direction in WHAT:
        found = [r for r in find(rows, direction=direction, **what) if r["size"] != "imix"]
        found.sort(key=lambda r: r[x])
        for key, name, dashed in (("gateway_cycles", "gateway", False),
                                  ("crypto_cycles", "crypto alone", True)):
            plot.line(direction, [(r[x], r[key]) for r in found], f"{name}, {title}", color, dashed)


def plots(systems, top):
    name = next(iter(systems))
    rows = systems[name]["cycles"]
    library = "intel-ipsec-mb " + systems[name]["about"]["ipsec_mb"]
    sizes = Plot(f"{top}/cycles-size.png", f"AES-128-GCM, random order, one worker, {library}")
    for i, tunnels in enumerate((1, 10000, 60000)):
        pair(sizes, rows, {"suite": "aes128gcm16", "tunnels": tunnels}, f"{tunnels} tunnels", "size",
             COLORS[i])
    over = Plot(f"{top}/cycles-tunnels.png", f"AES-128-GCM, random order, one worker, {library}")
    for i, size in enumerate((64, 512, 1420)):
        pair(over, rows, {"suite": "aes128gcm16", "size": size}, f"{size} bytes", "tunnels", COLORS[i])
    suites = Plot(f"{top}/suites.png", f"1,000 tunnels, random order, one worker, {library}")
    for i, suite in enumerate(dict.fromkeys(r["suite"] for r in rows)):
        pair(suites, rows, {"suite": suite, "tunnels": 1000}, suite, "size", COLORS[i])
    over_size = ["set xlabel 'inner IP packet, bytes'", "set xrange [0:1500]"]
    over_tunnels = ["set xlabel 'tunnels'", "set logscale x", "set xrange [0.8:80000]"]
    return sizes.script(over_size) + suites.script(over_size) + over.script(over_tunnels)


def main():
    top = sys.argv[1]
    systems = load(top)
    if not systems:
        sys.exit("report.py: no results")
    with open(os.path.join(top, "table.md"), "w", encoding="utf-8") as f:
        f.write(tables(systems) + "\n")
    with open(os.path.join(top, "plot.gp"), "w", encoding="utf-8") as f:
        f.write("\n".join(plots(systems, top)) + "\n")


main()
