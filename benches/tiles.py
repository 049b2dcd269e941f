#!/usr/bin/env python3
"""What a dashboard's tiles wait for while events come in, and while somebody joins a long history.

    benches/tiles.py [SECONDS] [HISTORY]     after `make release`; 30 and 10000000

Starts the service on an empty folder and gives one tenant a history of so many expenses. Then a tile of
that tenant is asked for fifty times a second on one connection: quiet, while 50,000 events a second
come in for 300 tenants, of which it is the largest, and while the tenant also joins the whole history
with its projects, again and again. An answer counts from when it was asked for, or from when it should have
been if the one before was late. Prints Markdown; what was not reached of the load is said. `TIDEMARK`
names another binary than target/release/tidemark. DuckDB comes from PyPI the first time, into
benches/target.
"""
import http.client
import json
import multiprocessing
import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time

from history import RELATION, feed, need_duckdb, settled
from service import BINARY, LISTEN, Client, memory, serve, token

RATE = 50_000
TENANTS = 300
# Events of one body.
BATCH = 500
SENDERS = 8
EVERY = 0.02
WARM = 3
TENANT = "t00001"
TILES = {
    "figure: what is owed": "SELECT currency, sum(total) AS owed FROM ar_aging GROUP BY currency",
    "ranking: who owes most": "SELECT customer_id, currency, total FROM ar_aging ORDER BY total DESC, customer_id LIMIT 8",
    "bars: pipeline by stage": "SELECT stage, currency, amount FROM pipeline ORDER BY stage, currency",
    "table: worst projects": "SELECT project_id, name, profit, margin FROM project_profitability ORDER BY profit, project_id LIMIT 20",
}
JOIN = f"""
SELECT p.customer_id, e.category, count(*) AS expenses, sum(e.amount) AS amount
FROM {RELATION} AS e JOIN events."projects.project_created" AS p ON p.project_id = e.project_id
WHERE e.amount > $1 GROUP BY p.customer_id, e.category ORDER BY amount DESC LIMIT 50"""


class Asking:
    """One connection on which the same requests are sent; read as plainly as can be."""

    def __init__(self):
        host, port = LISTEN.split(":")
        self.connection = socket.create_connection((host, int(port)), timeout=60)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray(1 << 20)

    def ask(self, request):
        """Sends a request and reads the whole answer, which has a length; a small one has."""
        self.connection.sendall(request)
        view, held, end = memoryview(self.buffer), 0, None
        while end is None or held < end:
            count = self.connection.recv_into(view[held:])
            if count == 0:
                raise RuntimeError("the connection was closed")
            held += count
            if end is None and (at := self.buffer.find(b"\r\n\r\n", 0, held)) >= 0:
                head = bytes(view[:at]).lower()
                if not head.startswith(b"http/1.1 200") or b"content-length: " not in head:
                    raise RuntimeError(bytes(view[:held])[:1000].decode())
                end = at + 4 + int(head.split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])


def request(sql):
    body = json.dumps({"sql": sql}).encode()
    head = (f"POST /v1/query HTTP/1.1\r\nHost: {LISTEN}\r\nAuthorization: Bearer {token(TENANT)}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")
    return head.encode() + body


def tiles(seconds):
    """What each tile waits for its answers, in ms."""
    asking, requests = Asking(), {name: request(sql) for name, sql in TILES.items()}
    names, took, number = list(TILES), {name: [] for name in TILES}, 0
    due = begun = time.perf_counter()
    while due < begun + seconds:
        late_since = due if time.perf_counter() > due else None
        if late_since is None:
            time.sleep(due - time.perf_counter())
        asked = late_since or time.perf_counter()
        name = names[number % len(names)]
        asking.ask(requests[name])
        took[name].append((time.perf_counter() - asked) * 1000)
        number += 1
        due += EVERY
    return took


def spool(seconds, file):
    """Writes the bodies of so many seconds into a file, in the order in which they are to be sent: the
    tenant of each, where it begins, and its length."""
    events = int(RATE * seconds * 1.1)
    command = [BINARY, "generate", "--tenants", str(TENANTS), "--events", str(events), "--seed", "7"]
    mark, waiting, bodies, at = b'"tenantid":"', {}, [], 0
    with open(file, "wb") as out, subprocess.Popen(command, stdout=subprocess.PIPE) as made:
        for line in made.stdout:
            start = line.index(mark) + len(mark)
            tenant = line[start:line.index(b'"', start)]
            held = waiting.setdefault(tenant, [])
            held.append(line)
            if len(held) == BATCH:
                text = b"".join(waiting.pop(tenant))
                out.write(text)
                bodies.append((tenant.decode(), at, len(text)))
                at += len(text)
    return bodies


def load(file, bodies, seconds, told):
    """Sends the bodies at their pace; tells how many events, in what time, and how late at most."""
    due, failures, late, sent = queue.Queue(), [], [0.0], [0]
    tokens = {tenant: token(tenant) for tenant, _, _ in bodies}
    begun = time.monotonic() + 0.5
    for number, body in enumerate(bodies[:int(seconds * RATE / BATCH)]):
        due.put((begun + number * BATCH / RATE, body))
    host, port = LISTEN.split(":")

    def send():
        asking = Asking()
        with open(file, "rb") as spooled:
            while True:
                try:
                    at, (tenant, offset, length) = due.get_nowait()
                except queue.Empty:
                    return
                time.sleep(max(0.0, at - time.monotonic()))
                late[0] = max(late[0], time.monotonic() - at)
                head = (f"POST /v1/events HTTP/1.1\r\nHost: {LISTEN}\r\nAuthorization: Bearer {tokens[tenant]}\r\n"
                        f"Content-Type: application/x-ndjson\r\nContent-Length: {length}\r\n\r\n").encode()
                asking.connection.sendall(head)
                # From the page cache into the socket: the sender shares the machine.
                asking.connection.sendfile(spooled, offset, length)
                answer = http.client.HTTPResponse(asking.connection)
                answer.begin()
                receipt = json.loads(answer.read())
                if answer.status != 202 or receipt["rejected"]:
                    failures.append((answer.status, receipt))
                    return
                sent[0] += receipt["accepted"] + receipt["duplicates"]

    threads = [threading.Thread(target=send) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.put((sent[0], time.monotonic() - begun, late[0], failures))


def join(stop, told):
    """Joins the history until told to stop; how long each join took."""
    client, bearer, took = Client(), token(TENANT), []
    while not stop.is_set():
        begun = time.monotonic()
        body = json.dumps({"sql": JOIN, "params": [str(len(took))]})
        client.call("POST", "/v1/query", bearer, body)
        took.append(time.monotonic() - begun)
    told.put(took)


def line(name, took, told=""):
    took = sorted(took)
    at = lambda share: took[min(len(took) - 1, int(share * len(took)))]
    print(f"| {name} | {len(took)} | {at(0.5):.2f} ms | {at(0.99):.2f} ms | {at(0.999):.2f} ms | {took[-1]:.2f} ms | {told} |", flush=True)


def lines(name, took, told):
    line(f"**{name}**", [one for of in took.values() for one in of], told)
    for tile, of in took.items():
        line(tile, of)


def main():
    seconds, count = (int(given) for given in (sys.argv[1:] + ["30", "10000000"][len(sys.argv) - 1:])[:2])
    duckdb = need_duckdb()
    with tempfile.TemporaryDirectory() as folder:
        spooled = os.path.join(folder, "bodies")
        bodies = spool(2 * (seconds + 2 * WARM), spooled)
        middle = len(bodies) // 2
        process, _ = serve(os.path.join(folder, "data"))
        try:
            client = Client()
            for number in range(TENANTS):
                tenant = {"id": f"t{number + 1:05}", "name": f"Firm {number + 1}", "timezone": "UTC", "currency": "EUR",
                          "clock": "fixed:2025-06-30"}
                client.call("POST", "/v1/platform/tenants", token(), json.dumps(tenant))
            feed(duckdb, folder, TENANT, count)
            settled(process)
            print(f"{os.cpu_count()} cores, load before {os.getloadavg()[0]:.1f}; {count:,} expenses of the tenant, "
                  f"{memory(process)[0]:.0f} MiB\n")
            print("| | asked | p50 | p99 | p99.9 | slowest | meanwhile |\n|---|---|---|---|---|---|---|")
            tiles(WARM)
            lines("quiet", tiles(seconds), "")
            beside(f"{RATE:,} events/s", spooled, bodies[:middle], seconds, None)
            settled(process)
            stop, joined = multiprocessing.Event(), multiprocessing.Queue()
            joining = multiprocessing.Process(target=join, args=(stop, joined))
            joining.start()
            try:
                beside(f"{RATE:,} events/s and the join", spooled, bodies[middle:], seconds, (stop, joined))
            finally:
                stop.set()
                joining.join(120)
            # The one from the beginning has been quiet for longer than a connection may be.
            client = Client()
            counted = {"sql": "SELECT count(*) AS debtors, (SELECT count(*) FROM project_profitability) AS projects FROM ar_aging"}
            debtors, projects = client.call("POST", "/v1/query", token(TENANT), json.dumps(counted))["rows"][0]
            print(f"\nIn the end the tenant has {debtors:,} rows in ar_aging and {projects:,} in project_profitability. "
                  f"The service has taken at most {memory(process)[1]:.0f} MiB.")
        finally:
            process.kill()
            process.wait()


def beside(name, spooled, bodies, seconds, joins):
    told = multiprocessing.Queue()
    loading = multiprocessing.Process(target=load, args=(spooled, bodies, seconds + 2 * WARM, told))
    loading.start()
    time.sleep(WARM)
    took = tiles(seconds)
    sent, lasted, late, failures = told.get(timeout=300)
    loading.join()
    if failures:
        raise RuntimeError(f"a body was refused: {failures[0]}")
    said = f"{sent / lasted:,.0f} events/s taken in, a body {late * 1000:.0f} ms late at most"
    if joins:
        stop, joined = joins
        stop.set()
        each = joined.get(timeout=120)
        said += f"; {len(each)} joins, {sum(each) / len(each):.1f} s each"
    lines(name, took, said)


if __name__ == "__main__":
    main()
