#!/usr/bin/env python3
"""A tenant at its limit beside another: what the other waits for its answers.

    benches/limits.py [READS]     after `make release`; 1000

One tenant reads a view every 25 ms, first alone, then beside another tenant of which eight processes
call as fast as they are answered, with 50 calls a second allowed to a tenant. Prints Markdown.
`TIDEMARK` names another binary than target/release/tidemark. Nothing but Python is needed.
"""
import http.client
import multiprocessing
import os
import sys
import tempfile
import time

from service import LISTEN, Client, serve, token
from tenants import onboard

ALLOWED = 50
LOUD = 8
PAUSE = 0.025


def read(count):
    """How long the quiet tenant waits for each of its reads, in ms, sorted."""
    client, bearer, took = Client(), token("t00001"), []
    for _ in range(count):
        begun = time.monotonic()
        client.call("GET", "/v1/views/ar_aging", bearer)
        took.append((time.monotonic() - begun) * 1000)
        time.sleep(PAUSE)
    return sorted(took)


def call(stop, answered, refused):
    """Calls as the loud tenant until told to stop."""
    connection, headers = http.client.HTTPConnection(LISTEN, timeout=60), {"Authorization": f"Bearer {token('t00002')}"}
    while not stop.is_set():
        connection.request("GET", "/v1/views", headers=headers)
        answer = connection.getresponse()
        answer.read()
        counter = {200: answered, 429: refused}[answer.status]
        with counter.get_lock():
            counter.value += 1


def line(name, took, told=""):
    at = lambda share: took[min(len(took) - 1, int(share * len(took)))]
    print(f"| {name} | {at(0.5):.2f} ms | {at(0.99):.2f} ms | {took[-1]:.2f} ms | {told} |")


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    os.environ["TIDEMARK_LIMITS_TENANT_REQUESTS_PER_S"] = str(ALLOWED)
    # The quiet one is within what it is allowed.
    os.environ["TIDEMARK_LIMITS_TOKEN_REQUESTS_PER_S"] = "1000"
    with tempfile.TemporaryDirectory() as folder:
        process, _ = serve(os.path.join(folder, "data"))
        try:
            onboard(2)
            alone = read(count)
            stop = multiprocessing.Event()
            answered, refused = multiprocessing.Value("q"), multiprocessing.Value("q")
            loud = [multiprocessing.Process(target=call, args=(stop, answered, refused)) for _ in range(LOUD)]
            for one in loud:
                one.start()
            time.sleep(1)
            begun, before = time.monotonic(), (answered.value, refused.value)
            beside = read(count)
            seconds = time.monotonic() - begun
            rates = [(now.value - was) / seconds for now, was in zip((answered, refused), before)]
            stop.set()
            for one in loud:
                one.join()
        finally:
            process.kill()
            process.wait()
    print("| the quiet tenant | p50 | p99 | slowest | the other, a second |\n|---|---|---|---|---|")
    line("alone", alone)
    line("beside one at its limit", beside, f"{rates[0]:,.0f} answered, {rates[1]:,.0f} refused")


if __name__ == "__main__":
    main()
