"""A long history of one tenant for benches: expenses made by a formula, so that what must come out
again is known without asking the service.

DuckDB makes them, from PyPI, in benches/target. Not a program of its own.
"""
import os
import subprocess
import sys
import time
import urllib.request

from service import BINARY, LISTEN, ROOT, token

PROJECTS = 1000
# Two and a half times as long as between two checkpoints.
QUIET = 25
# Of one file that `tidemark load` sends.
PART = 1_000_000
COLUMNS = ["event_id", "occurred_at", "subject", "expense_id", "project_id", "category", "amount", "currency", "spent_on"]
RELATION = 'events."governance.expense_recorded"'

# What each kind of text is written like in CSV: null, empty, quoted, what a spreadsheet would run.
CATEGORIES = ["NULL", "''", "'Travel, meals'", "'=SUM(A1:A9)'", "'the \"new\" office'", "'-'", "' led by a space'",
              "'two' || chr(10) || 'lines'", "'Größe ☃'", "'@home'", "'rent'", "'software'", "'fuel'"]

# The expenses numbered from `first` to before `last`, typed as the relation is.
EXPENSES = f"""
SELECT
    'e' || i AS event_id,
    TIMESTAMP '2020-01-01' + to_microseconds(i * 15000017) AS occurred_at,
    CASE WHEN i % 3 > 0 THEN 'expense/' || i END AS subject,
    'x' || i AS expense_id,
    'P' || (i * 7919 % {PROJECTS}) AS project_id,
    CASE i % 29 {' '.join(f'WHEN {n} THEN {text}' for n, text in enumerate(CATEGORIES))} ELSE 'category ' || i % 29 END AS category,
    CAST(CAST(i * 104729 % 2000000000 - 100000000 AS DECIMAL(18, 0)) * 0.0001 AS DECIMAL(38, 4)) AS amount,
    CASE WHEN i % 5 = 0 THEN 'USD' ELSE 'EUR' END AS currency,
    DATE '2020-01-01' + CAST(i % 1800 AS INTEGER) AS spent_on
FROM range({{first}}, {{last}}) AS numbers(i)
"""

# The same as the texts that CSV has for them, without the guard against formulas.
SECOND = "strftime(occurred_at, '%Y-%m-%dT%H:%M:%S')"
FRACTION = "epoch_us(occurred_at) % 1000000"
TEXTS = f"""
SELECT event_id,
    {SECOND} || CASE WHEN {FRACTION} = 0 THEN ''
        WHEN {FRACTION} % 1000 = 0 THEN '.' || lpad(CAST({FRACTION} // 1000 AS VARCHAR), 3, '0')
        ELSE '.' || lpad(CAST({FRACTION} AS VARCHAR), 6, '0') END || 'Z' AS occurred_at,
    subject, expense_id, project_id, category,
    CAST(amount AS VARCHAR) AS amount, currency, CAST(spent_on AS VARCHAR) AS spent_on
FROM ({{rows}})
"""


def need_duckdb():
    """Has this program run by a Python that has DuckDB."""
    try:
        import duckdb
        return duckdb
    except ImportError:
        folder = os.path.join(ROOT, "benches/target/duckdb")
        python = os.path.join(folder, "bin/python")
        if not os.path.exists(os.path.join(folder, "ready")):
            print("bringing DuckDB from PyPI", file=sys.stderr)
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", "duckdb==2.0.0"], check=True)
            open(os.path.join(folder, "ready"), "w").close()
        if os.path.realpath(sys.prefix) == os.path.realpath(folder):
            raise
        os.execv(python, [python, *sys.argv])


def expenses(first, last):
    return EXPENSES.format(first=first, last=last)


def texts(rows):
    return TEXTS.format(rows=rows)


def load(file, tenant):
    """Sends a file by `tidemark load`."""
    command = [BINARY, "load", file, "--url", f"http://{LISTEN}", "--token", token(tenant)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    if "rejected 0" not in said:
        raise RuntimeError(said)


def feed(duckdb, folder, tenant, count):
    """Gives a tenant its projects and so many expenses; the seconds that sending took."""
    event = """'1.0' AS specversion, event_id AS id, '/bench' AS source, '{type}' AS type,
        strftime({time}, '%Y-%m-%dT%H:%M:%S.%fZ') AS time"""
    file, took = os.path.join(folder, "events.ndjson"), 0
    connection = duckdb.connect()
    projects = f"""
        SELECT {event.format(type='projects.project_created', time="TIMESTAMP '2019-12-31'")},
            {{'project_id': 'P' || i, 'name': 'Project ' || i, 'customer_id': 'C' || i % 50}} AS data
        FROM (SELECT i, 'p' || i AS event_id FROM range({PROJECTS}) AS numbers(i))"""
    parts = [projects]
    for first in range(0, count, PART):
        rows = expenses(first, min(first + PART, count))
        parts.append(f"""
            SELECT {event.format(type='governance.expense_recorded', time='occurred_at')}, subject,
                {{'expense_id': expense_id, 'project_id': project_id, 'category': category,
                  'amount': CAST(amount AS VARCHAR), 'currency': currency,
                  'spent_on': CAST(spent_on AS VARCHAR)}} AS data
            FROM ({rows})""")
    for part in parts:
        connection.execute(f"COPY ({part}) TO '{file}' (FORMAT json)")
        begun = time.monotonic()
        load(file, tenant)
        took += time.monotonic() - begun
        os.remove(file)
    return took


def figure(name):
    """A figure of /metrics, of all its labels together."""
    with urllib.request.urlopen(f"http://{LISTEN}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    of = [line.rsplit(" ", 1) for line in lines if line.startswith((name + " ", name + "{"))]
    return sum(float(value) for _, value in of)


def cpu(process):
    """Seconds of CPU that a process has taken."""
    with open(f"/proc/{process.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def settled(process):
    """Waits until all events stand in history's files and the merging of files has ended: then no
    checkpoint is made any more."""
    made, since, end = None, 0, time.monotonic() + 900
    while time.monotonic() < end:
        now, before = figure("tidemark_checkpoints_total"), cpu(process)
        time.sleep(2)
        is_busy = cpu(process) - before > 0.2
        if now != made or is_busy:
            made, since = now, time.monotonic()
        elif time.monotonic() - since > QUIET:
            return
    raise RuntimeError("the service is still busy after a quarter of an hour")
