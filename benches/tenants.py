#!/usr/bin/env python3
"""Thousands of tenants on one embedded node: how long each takes to onboard, what they hold.

    benches/tenants.py [TENANTS] [EVENTS]     after `make release`; 2400 and 1000000

Starts the service on an empty folder, creates each tenant over HTTP with a template, and asks of
it at once what the template gave, so that onboarding counts only until the tenant can be used.
Then the events of `tidemark generate` go in, each tenant's by its own token. Prints Markdown.
`TIDEMARK` names another binary than target/release/tidemark. Nothing but Python is needed.
"""
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time

from service import BINARY, Client, memory, serve, token

SENDERS = 4
BATCH = 500
MODULES = ["crm", "invoicing", "purchasing", "hr", "inventory", "projects", "tasks", "governance", "property"]
VERTICALS = ["services", "property", "wholesale", "construction", "retail"]


def onboard(count):
    """Creates the tenants one after the other; the seconds of each until it can be used."""
    client, platform, took = Client(), token(), []
    for number in range(count):
        name = f"t{number + 1:05}"
        body = {
            "id": name, "name": f"Firm {number + 1}", "timezone": "Europe/Berlin", "currency": "EUR",
            "vertical": VERTICALS[number % len(VERTICALS)], "modules": MODULES,
        }
        begun = time.monotonic()
        client.call("POST", "/v1/platform/tenants", platform, json.dumps(body))
        sql = {"sql": "SELECT count(*) FROM events.\"tasks.task_assigned\""}
        given = client.call("POST", "/v1/query", token(name), json.dumps(sql))["rows"][0][0]
        took.append(time.monotonic() - begun)
        if given < 1:
            raise RuntimeError(f"{name} has nothing of its template")
    return took


def feed(count, events):
    """Sends generated events, waits until all views have them; accepted ones and seconds."""
    bodies, failures, accepted, last = queue.Queue(2 * SENDERS), [], [], {}

    def send():
        client = Client()
        while (body := bodies.get()) is not None:
            tenant, lines = body
            try:
                receipt = client.call("POST", "/v1/events", token(tenant), b"".join(lines), "application/x-ndjson")
                if receipt["rejected"]:
                    raise RuntimeError(f"{tenant}: {receipt['rejected'][0]}")
                accepted.append(receipt["accepted"])
                last[tenant] = receipt["position"]
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=send) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    command = [BINARY, "generate", "--tenants", str(count), "--events", str(events), "--seed", "7"]
    waiting = {}
    begun = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as lines:
        mark = b'"tenantid":"'
        for line in lines.stdout:
            at = line.index(mark) + len(mark)
            tenant = line[at:line.index(b'"', at)].decode()
            held = waiting.setdefault(tenant, [])
            held.append(line)
            if len(held) == BATCH:
                bodies.put((tenant, waiting.pop(tenant)))
    for body in waiting.items():
        bodies.put(body)
    for _ in threads:
        bodies.put(None)
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    acknowledged = time.monotonic() - begun
    client = Client()
    for tenant, position in last.items():
        client.call("GET", f"/v1/views/ar_aging?limit=1&wait_ms=60000&wait_for={position}", token(tenant))
    return sum(accepted), acknowledged, time.monotonic() - begun


def main():
    count, events = (int(given) for given in (sys.argv[1:] + ["2400", "1000000"][len(sys.argv) - 1:])[:2])
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "data")
        process, ready = serve(data)
        try:
            empty, _ = memory(process)
            took = sorted(onboard(count))
            at = lambda share: took[min(len(took) - 1, int(share * len(took)))] * 1000
            onboarded, _ = memory(process)
            accepted, acknowledged, applied = feed(count, events)
            fed, peak = memory(process)
            begun = time.monotonic()
            overview = Client().call("GET", "/v1/platform/overview", token())
            looked = time.monotonic() - begun
            totals = overview["totals"]
            process.terminate()
            process.wait(60)
            process, again = serve(data)
            restarted, _ = memory(process)
        finally:
            process.kill()
            process.wait()
    slow = sum(seconds > 1 for seconds in took)
    print(f"| {count:,} tenants | |\n|---|---|")
    print(f"| created and usable, one after the other | {sum(took):.1f} s, {sum(took) / count * 1000:.1f} ms each |")
    print(f"| each: p50, p99, slowest | {at(0.5):.1f} ms, {at(0.99):.1f} ms, {took[-1] * 1000:.1f} ms; {slow} over 1 s |")
    print(f"| memory: empty, after onboarding | {empty:.0f} MiB, {onboarded:.0f} MiB |")
    print(f"| events taken in | {accepted:,} |")
    print(f"| acknowledged, in all views | {acknowledged:.1f} s ({accepted / acknowledged:,.0f}/s), {applied:.1f} s |")
    print(f"| memory: after that, at most | {fed:.0f} MiB, {peak:.0f} MiB |")
    print(f"| what the views hold | {totals['memory_bytes'] / 2**20:.0f} MiB |")
    print(f"| the overview of all | {looked * 1000:.0f} ms |")
    print(f"| start on the empty folder, restart with all | {ready:.2f} s, {again:.2f} s |")
    print(f"| memory after the restart | {restarted:.0f} MiB |")


if __name__ == "__main__":
    main()
