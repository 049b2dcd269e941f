#!/usr/bin/env python3
"""What one tenant's query bombs cost another: its times quiet, and beside them.

    benches/bombs.py [SECONDS] [CLIENTS]     after `make release`; 30 and 8

Starts the service on an empty folder with two tenants. The quiet one reads a view and asks a small
query, each with another constant so that no kept answer helps, one after the other and 10 ms apart:
first alone, then beside clients of the other that send bombs as fast as they end. Prints Markdown.
`TIDEMARK` names another binary than target/release/tidemark. Nothing but Python is needed.
"""
import collections
import http.client
import json
import multiprocessing
import os
import sys
import tempfile
import threading
import time

from service import Client, memory, serve, token

LIMITS = {"SECONDS": "5", "MEMORY_BYTES": str(64 << 20), "SPILL_BYTES": str(256 << 20)}

SERIES = "generate_series(1, 1000000000)"
BOMBS = {
    "cross join": f"SELECT count(*) FROM {SERIES} a, generate_series(1, 1000) b WHERE a.value < b.value",
    "join without a match": "SELECT count(*) FROM generate_series(1, 1000000) a JOIN generate_series(1, 1000000) b "
                            "ON a.value + b.value < 0",
    "sort": f"SELECT repeat('x', 200) || value AS x FROM {SERIES} ORDER BY x DESC",
    "grouping": f"SELECT value % 99999989, count(*) FROM {SERIES} GROUP BY 1",
    "regex": f"SELECT count(*) FROM {SERIES} WHERE repeat('a', 3000) || value ~ '(a|aa)*(a?){{40}}b$'",
    "nesting": f"SELECT {'(' * 50000}1{')' * 50000}",
    "many items": f"SELECT count(*) FROM {SERIES} WHERE value * 3 IN ({','.join(map(str, range(40000)))})",
    "a million items": f"SELECT 1 IN ({','.join(map(str, range(1000000)))})",
    "wide, and not read": "SELECT repeat('x', 4000), repeat('y', 4000), value FROM generate_series(1, 900000)",
}

BODIES = {name: json.dumps({"sql": sql}) for name, sql in BOMBS.items()}


class Attempts(Client):
    """One connection that is kept, whatever is answered on it."""

    def attempt(self, method, path, bearer, body=None, read=True):
        """The status and the text; without reading, the connection is dropped after ten seconds."""
        try:
            answer = self.ask(method, path, bearer, body)
            if not read:
                time.sleep(10)
                self.connection.close()
                return answer.status, b"{}"
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            return 0, b"{}"


def firm(name, invoices):
    """A tenant with so many open invoices."""
    client = Client()
    tenant = {"id": name, "name": name, "timezone": "Europe/Berlin", "currency": "EUR", "clock": "fixed:2025-06-30"}
    client.call("POST", "/v1/platform/tenants", token(), json.dumps(tenant))
    event = lambda n: {
        "specversion": "1.0", "id": f"e{n}", "source": "/invoicing", "type": "invoicing.invoice_issued",
        "time": "2025-06-01T10:00:00Z", "data": {
            "invoice_id": f"i{n}", "customer_id": f"c{n % 97}", "issue_date": "2025-06-01",
            "due_date": "2025-06-15", "amount": "12.50"}}
    lines = "\n".join(json.dumps(event(n)) for n in range(invoices))
    receipt = client.call("POST", "/v1/events", token(name), lines, "application/x-ndjson")
    client.call("GET", f"/v1/views/ar_aging?limit=1&wait_ms=60000&wait_for={receipt['position']}", token(name))


def measure(seconds):
    """The times of the quiet tenant's view and query, sorted, in milliseconds."""
    client, bearer, times, number = Attempts(), token("quiet"), {"view": [], "query": []}, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        number += 1
        sql = json.dumps({"sql": f"SELECT currency, sum(total), {number} FROM ar_aging GROUP BY 1"})
        for what, call in (("view", ("GET", "/v1/views/ar_aging", bearer)), ("query", ("POST", "/v1/query", bearer, sql))):
            begun = time.monotonic()
            status, text = client.attempt(*call)
            times[what].append((time.monotonic() - begun) * 1000)
            assert status == 200, (status, text)
            time.sleep(0.01)
    return {what: sorted(taken) for what, taken in times.items()}


def bomb(names, seconds, ends):
    """Sends bombs in turn for so long, and counts how they end."""
    client, bearer, number, end = Attempts(), token("bomber"), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        name = names[number % len(names)]
        number += 1
        status, text = client.attempt("POST", "/v1/query", bearer, BODIES[name], read="not read" not in name)
        try:
            said = json.loads(text)
            why = said.get("limit", said.get("type", "").rsplit(":", 1)[-1])
        except ValueError:
            why = ""
        ends[name][f"{status or 'cut'} {why}".strip()] += 1


def bombers(names, clients, seconds, told):
    """So many clients, each of which begins with another bomb; tells how the bombs ended."""
    # A process of its own that stands back: what these clients compute is no work of the service.
    os.nice(10)
    ends, threads = collections.defaultdict(collections.Counter), []
    for client in range(clients):
        order = names[client % len(names):] + names[:client % len(names)]
        threads.append(threading.Thread(target=bomb, args=(order, seconds, ends)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.put(dict(ends))


def main():
    seconds, clients = (int(given) for given in (sys.argv[1:] + ["30", "8"][len(sys.argv) - 1:])[:2])
    at = lambda taken, share: taken[min(len(taken) - 1, int(share * len(taken)))]
    os.environ.update({f"TIDEMARK_LIMITS_QUERY_{name}": value for name, value in LIMITS.items()})
    with tempfile.TemporaryDirectory() as folder:
        process, _ = serve(os.path.join(folder, "data"))
        try:
            firm("quiet", 2000)
            firm("bomber", 2000)
            measure(3)
            quiet = measure(seconds)
            rows = []
            ends = collections.defaultdict(collections.Counter)
            kinds = [[name] for name in BOMBS] + [list(BOMBS)]
            for names in kinds:
                told = multiprocessing.Queue()
                sending = multiprocessing.Process(target=bombers, args=(names, clients, seconds, told))
                sending.start()
                time.sleep(1)
                beside = measure(seconds - 2)
                for name, counted in told.get().items():
                    ends[name].update(counted)
                sending.join()
                rows.append((names[0] if len(names) == 1 else "all of them", beside))
            _, peak = memory(process)
        finally:
            process.kill()
            process.wait()
    limits = ", ".join(f"{name.lower()} {value}" for name, value in LIMITS.items())
    print(f"{clients} clients of the other tenant, {seconds} s each; limits: {limits}; at most {peak:.0f} MiB resident\n")
    print("| beside | view p50 | view p99 | query p50 | query p99 | answered |\n|---|---|---|---|---|---|")
    for name, taken in [("nothing", quiet), *rows]:
        figures = [f"{at(taken[what], share):.2f} ms" for what in ("view", "query") for share in (0.5, 0.99)]
        print(f"| {name} | {' | '.join(figures)} | {len(taken['view']) + len(taken['query'])} |")
    print("\n| bomb | how it ended |\n|---|---|")
    for name, counted in ends.items():
        print(f"| {name} | {', '.join(f'{end}: {count}' for end, count in counted.most_common())} |")


if __name__ == "__main__":
    main()
