#!/usr/bin/env python3
"""A CSV of ten million rows: how fast it comes, what memory it takes, whether it is right.

    benches/exports.py [ROWS] [RUNS]     after `make release`; 10000000 and 3

Starts the service on an empty folder and gives one tenant so many expenses, which a formula makes.
Then the relation of these events is asked for as CSV, the answer written to a file: a tenth of it, and
all. Every cell must be what the formula says. The same as Parquet; and DuckDB, on two threads, copies
that Parquet to CSV. Where the service makes reports, the same query as the run of a report, and the
download of its file. Prints Markdown. `TIDEMARK` names another binary than target/release/tidemark.
DuckDB comes from PyPI the first time, into benches/target.
"""
import json
import os
import socket
import sys
import tempfile
import time

from history import COLUMNS, RELATION, cpu, expenses, feed, need_duckdb, settled, texts
from service import LISTEN, Client, memory, serve, token

TENANT = "archive"
BUFFER = 1 << 20
# Wide enough that what is measured is the way of the rows and not a bound.
LIMITS = {
    "TIDEMARK_LIMITS_QUERY_ROWS": "1000000000",
    "TIDEMARK_LIMITS_QUERY_SECONDS": "900",
    "TIDEMARK_LIMITS_TENANT_BYTES_PER_S": str(1 << 40),
    "TIDEMARK_LIMITS_TOKEN_BYTES_PER_S": str(1 << 40),
}
FORMATS = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}


class Cut(Exception):
    """An answer that ended before its end."""


def chunks(connection, rest):
    """The pieces of a chunked body as they come; `rest` is what was read of it already."""
    view = memoryview(bytearray(BUFFER))
    while True:
        while b"\r\n" not in rest:
            rest += some(connection)
        size, rest = rest.split(b"\r\n", 1)
        left = int(size, 16)
        if left == 0:
            return
        yield rest[:left]
        rest, left = rest[left:], max(0, left - len(rest))
        while left > 0:
            count = connection.recv_into(view[:min(left, BUFFER)])
            if count == 0:
                raise Cut("the connection was cut")
            left -= count
            yield view[:count]
        while len(rest) < 2:
            rest += some(connection)
        rest = rest[2:]


def plain(connection, rest, head):
    """The pieces of a body whose length its head says."""
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    left = int(lengths[0]) - len(rest)
    yield rest
    view = memoryview(bytearray(BUFFER))
    while left > 0:
        count = connection.recv_into(view[:min(left, BUFFER)])
        if count == 0:
            raise Cut("the connection was cut")
        left -= count
        yield view[:count]


def some(connection):
    """A little, so that little of a body is copied."""
    read = connection.recv(1024)
    if not read:
        raise Cut("the connection was cut")
    return read


def download(method, path, body, accept, file):
    """Writes an answer's body to a file; seconds and bytes. It is read as plainly as can be, since the
    reader shares the machine."""
    host, port = LISTEN.split(":")
    text = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {LISTEN}\r\nAuthorization: Bearer {token(TENANT)}\r\nAccept: {accept}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
    )
    total = 0
    with socket.create_connection((host, int(port)), timeout=900) as connection, open(file, "wb", buffering=0) as out:
        begun = time.monotonic()
        connection.sendall(head.encode() + text)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += some(connection)
        head, rest = answer.split(b"\r\n\r\n", 1)
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise RuntimeError(answer[:1000].decode())
        if b"transfer-encoding: chunked" in head.lower():
            parts = chunks(connection, rest)
        else:
            parts = plain(connection, rest, head)
        for part in parts:
            out.write(part)
            total += len(part)
        return time.monotonic() - begun, total


class Measured:
    """Rows that left the service, timed, with its CPU and its memory meanwhile; the reader's CPU is not in it."""

    def __init__(self, process, name, rows):
        self.process, self.name, self.rows = process, name, rows

    def __enter__(self):
        # From here on the peak is that of what follows.
        with open(f"/proc/{self.process.pid}/clear_refs", "w") as peak:
            peak.write("5")
        self.before, self.cpu, self.begun = memory(self.process)[0], cpu(self.process), time.monotonic()
        self.bytes = 0
        return self

    def __exit__(self, failed, *_):
        if failed:
            return
        seconds = time.monotonic() - self.begun
        peak = memory(self.process)[1]
        print(f"| {self.name} | {self.rows:,} | {self.bytes / 2**20:,.0f} MiB | {seconds:.2f} s | "
              f"{self.rows / seconds:,.0f} | {cpu(self.process) - self.cpu:.2f} s | {self.before:.0f} MiB | "
              f"{peak:.0f} MiB |", flush=True)


def digest(connection, rows, guarded):
    """Of a set of rows of text whatever their order: how many, and two sums over a hash of each."""
    columns = ", ".join(COLUMNS)
    if guarded:
        guard = "CASE WHEN category[1] IN ('=', '+', '-', '@', chr(9), chr(13)) THEN '''' || category ELSE category END"
        columns = columns.replace("category", guard)
    hashes = f"SELECT hash({columns}) AS h FROM ({rows})"
    return connection.sql(f"SELECT count(*), sum(CAST(h AS HUGEINT)), bit_xor(h) FROM ({hashes})").fetchall()[0]


def csv_rows(file):
    """The cells of a file as they stand there; only what is not quoted and empty is null."""
    columns = ", ".join(f"'{column}': 'VARCHAR'" for column in COLUMNS)
    return (f"SELECT * FROM read_csv('{file}', header = true, auto_detect = false, delim = ',', quote = '\"', "
            f"escape = '\"', nullstr = '', allow_quoted_nulls = false, columns = {{{columns}}})")


def check(what, found, expected):
    if found != expected:
        raise RuntimeError(f"{what} has other rows than were sent: {found} instead of {expected}")


def report(process, folder, connection, sql, rows, expected):
    """The query as a report's run and its file, if there are reports."""
    client, bearer = Client(), token(TENANT)
    try:
        client.call("GET", "/v1/reports", bearer)
    except RuntimeError as error:
        if ": 404 " in str(error):
            return
        raise
    made = client.call("POST", "/v1/reports", bearer, json.dumps({"name": "Expenses", "sql": sql, "format": "csv"}))
    with Measured(process, "report: the file made and kept", rows) as measured:
        run = client.call("POST", f"/v1/reports/{made['id']}/run", bearer, "{}")["run_id"]
        while (told := client.call("GET", f"/v1/reports/{made['id']}/runs/{run}", bearer))["state"] in ("queued", "running"):
            time.sleep(0.05)
        if told["state"] != "done":
            raise RuntimeError(str(told))
        measured.bytes = told["bytes"]
    file = os.path.join(folder, "report.csv")
    with Measured(process, "report: `GET /v1/exports/{run}`", rows) as measured:
        _, measured.bytes = download("GET", f"/v1/exports/{run}", None, "*/*", file)
    check("the report's file", digest(connection, csv_rows(file), False), expected)
    os.remove(file)


def copy(duckdb, connection, name, rows, file, count):
    """DuckDB's own copy of rows to CSV, timed."""
    begun, before = time.monotonic(), time.process_time()
    connection.execute(f"COPY ({rows}) TO '{file}' (FORMAT csv, HEADER)")
    seconds = time.monotonic() - begun
    print(f"| DuckDB {duckdb.__version__}, 2 threads, `COPY` of that Parquet to CSV, {name} | {count:,} | "
          f"{os.path.getsize(file) / 2**20:,.0f} MiB | {seconds:.2f} s | {count / seconds:,.0f} | "
          f"{time.process_time() - before:.2f} s | | |", flush=True)


def main():
    count, runs = (int(given) for given in (sys.argv[1:] + ["10000000", "3"][len(sys.argv) - 1:])[:2])
    duckdb = need_duckdb()
    os.environ.update(LIMITS)
    sql = f"SELECT {', '.join(COLUMNS)} FROM {RELATION}"
    with tempfile.TemporaryDirectory() as folder:
        process, _ = serve(os.path.join(folder, "data"))
        try:
            tenant = {"id": TENANT, "name": "Archive", "timezone": "UTC", "currency": "EUR", "clock": "fixed:2025-06-30"}
            Client().call("POST", "/v1/platform/tenants", token(), json.dumps(tenant))
            took = feed(duckdb, folder, TENANT, count)
            settled(process)
            connection = duckdb.connect()
            connection.execute("SET threads = 2")
            expected = digest(connection, texts(expenses(0, count)), True)
            print(f"{os.cpu_count()} cores, load before {os.getloadavg()[0]:.1f}; {count:,} events sent in {took:.0f} s\n")
            print("| what | rows | size | took | rows/s | CPU | memory before | at most |\n|---|---|---|---|---|---|---|---|")
            names = {kind: os.path.join(folder, f"answer.{kind}") for kind in FORMATS}
            tenth = f"{sql} LIMIT {count // 10}"
            for kind, text, rows in [("csv", tenth, count // 10), *[("csv", sql, count)] * runs, ("parquet", sql, count)]:
                with Measured(process, f"`POST /v1/query`, {kind}", rows) as measured:
                    _, measured.bytes = download("POST", "/v1/query", {"sql": text}, FORMATS[kind], names[kind])
                if kind == "csv" and rows == count:
                    check("the CSV", digest(connection, csv_rows(names[kind]), False), expected)
            raw = digest(connection, texts(expenses(0, count)), False)
            # An instant in UTC is shown as it is written there.
            connection.execute("SET TimeZone = 'UTC'")
            parquet = f"SELECT * REPLACE (CAST(occurred_at AS TIMESTAMP) AS occurred_at) FROM '{names['parquet']}'"
            check("the Parquet", digest(connection, texts(parquet), False), raw)
            report(process, folder, connection, sql, count, expected)
            # The zone costs DuckDB some; without it the instants are of its quicker type.
            for name, rows in [("as it is", f"SELECT * FROM '{names['parquet']}'"), ("instants without a zone", parquet)]:
                for _ in range(runs):
                    copy(duckdb, connection, name, rows, os.path.join(folder, "copied.csv"), count)
        finally:
            process.kill()
            process.wait()
    print("\nEvery cell of the CSV and of the Parquet is what the formula of the events says.")


if __name__ == "__main__":
    main()
