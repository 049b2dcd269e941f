#!/usr/bin/env python3
"""Tens of thousands of live connections: what they take, how soon they are told, a storm of them.

    benches/live.py [SECONDS] [ONLY]     after `make release`; 30, and all runs

For each run it starts the service on an empty folder, makes its tenants and starts the clients, one process
(`benches/live`) on the same machine: half WebSockets, half event streams, which add up all that they are
told. Prints Markdown. A run in which a client does not hold in the end what its views have fails, and so
does this. ONLY is a part of the names of the runs wanted.

Each end of 50,000 connections needs as many file descriptors. Where the hard limit (`ulimit -Hn`) is lower
and may not be raised, fewer connections have several subscriptions each; that is said. `TIDEMARK` names
another binary than target/release/tidemark, `BENCH_BIN` the folder of the bench's own, if it is not to be
built.
"""
import json
import os
import resource
import subprocess
import sys
import tempfile

from service import LISTEN, ROOT, Client, serve, token

WANTED_FILES = 131_072
# Of each process, beside connections: the log, the control store, checkpoints, calls.
OTHER_FILES = 1_000
# A run ends long before; then something hangs.
PATIENCE = 1_200
# Name, tenants, connections, changes a second, milliseconds between two deltas of a subscription, storm.
RUNS = [
    ("spread 10,000", 100, 10_000, 1_000, 0, False),
    ("spread 20,000", 100, 20_000, 1_000, 0, False),
    ("spread 50,000", 100, 50_000, 1_000, 0, False),
    # As the page asks.
    ("spread 50,000, one delta in 200 ms", 100, 50_000, 1_000, 200, False),
    ("spread 50,000, a tenth of the changes", 100, 50_000, 100, 0, False),
    ("one tenant, 10,000 on one view", 1, 10_000, 10, 0, False),
    ("one tenant, 10,000 on one view, one delta a second", 1, 10_000, 1_000, 1_000, False),
    ("storm 10,000", 100, 10_000, 100, 0, True),
    ("storm 50,000", 100, 50_000, 100, 0, True),
]
HEAD = [
    "", "WebSockets + event streams", "subscriptions", "all there in", "memory each", "memory in the end",
    "changes/s", "deltas/s", "p50", "p99", "p99.9", "slowest", "deltas measured", "CPU: service", "clients",
    "resets", "ended early", "storm", "/readyz: not ready, slowest", "astray",
]
# What one tenant, token or address may use is measured elsewhere (limits.py).
BOUNDS = {
    "TIDEMARK_LIMITS_STREAM_CONNECTIONS": 65_000,
    "TIDEMARK_LIMITS_STREAM_TENANT_CONNECTIONS": 65_000,
    "TIDEMARK_LIMITS_CONNECTIONS_ADDRESS": 65_000,
}
for whose in ("TENANT", "TOKEN"):
    BOUNDS |= {
        f"TIDEMARK_LIMITS_{whose}_REQUESTS_PER_S": 1_000_000,
        f"TIDEMARK_LIMITS_{whose}_BYTES_PER_S": 1 << 40,
        f"TIDEMARK_LIMITS_{whose}_CALLS": 65_000,
        f"TIDEMARK_LIMITS_{whose}_STREAMS": 65_000,
    }


def files():
    """How many files a process of ours may have open, after asking for enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in ((WANTED_FILES, max(hard, WANTED_FILES)), (hard, hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, wanted)
            return wanted[0]
        except (ValueError, OSError):
            continue
    return soft


def build():
    if "BENCH_BIN" in os.environ:
        return os.path.join(os.environ["BENCH_BIN"], "live")
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "benches/target"))
    command = ["cargo", "build", "--locked", "--release", "-p", "live", "--manifest-path",
               os.path.join(ROOT, "benches/Cargo.toml")]
    subprocess.run(command, check=True, stdout=sys.stderr, env={**os.environ, "CARGO_TARGET_DIR": target})
    return os.path.join(target, "release/live")


def run(program, seconds, most, name, tenants, connections, rate, max_rate, storm):
    """Prints the line of one run; whether every client held in the end what it was to hold."""
    subscriptions = -(-connections // most)
    connections = min(connections, -(-connections // subscriptions))
    with tempfile.TemporaryDirectory() as folder:
        process, _ = serve(os.path.join(folder, "data"))
        try:
            client, tokens = Client(), []
            for number in range(tenants):
                tenant = {"id": f"t{number + 1:05}", "name": f"Firm {number + 1}", "timezone": "UTC",
                          "currency": "EUR", "clock": "fixed:2024-06-30"}
                client.call("POST", "/v1/platform/tenants", token(), json.dumps(tenant))
                tokens.append(f"{tenant['id']} {token(tenant['id'])}\n")
            given = os.path.join(folder, "tokens")
            with open(given, "w") as file:
                file.writelines(tokens)
            command = [program, "--address", LISTEN, "--pid", str(process.pid), "--tokens", given, "--name", name,
                       "--connections", str(connections), "--subscriptions", str(subscriptions),
                       "--rate", str(rate), "--max-rate-ms", str(max_rate), "--seconds", str(seconds)]
            done = subprocess.run(command + ["--storm"] * storm, stdout=subprocess.PIPE, text=True, timeout=PATIENCE)
        finally:
            process.kill()
            process.wait()
    print(done.stdout.strip() or f"| {name} | no figures: see above |", flush=True)
    return done.returncode == 0


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    # As in deploy/.
    os.environ["MIMALLOC_PURGE_DELAY"] = "10000"
    os.environ.update((variable, str(bound)) for variable, bound in BOUNDS.items())
    program, allowed = build(), files()
    most = allowed - OTHER_FILES
    print(f"{os.cpu_count()} cores, load before {os.getloadavg()[0]:.1f}; {seconds} s measured, clients on the same cores")
    if most < max(connections for _, _, connections, *_ in RUNS):
        print(f"\nA process may have {allowed:,} files open here: a run of more than {most:,} has fewer connections, "
              "with several subscriptions each.")
    print("\n| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    held = [run(program, seconds, most, *wanted) for wanted in RUNS if only in wanted[0]]
    if not all(held):
        sys.exit("a run failed")


if __name__ == "__main__":
    main()
