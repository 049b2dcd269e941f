"""Three headline views of all tenants on PyFlink, from the events that `kafka export` wrote.

    headline.py EVENTS TOTAL FIGURES     EVENTS: the folder; TOTAL: how many events there are of all
                                         types; FIGURES: what `kafka rate --figures` wrote

First the views are timed, with their changes thrown away. Then some tenants' changes are written and
added up, and every row is compared with the service's. Prints Markdown.
"""

import collections
import decimal
import json
import pathlib
import re
import shutil
import sys
import tempfile

from pyflink.common import Configuration
from pyflink.table import EnvironmentSettings, TableEnvironment

TODAY = "2024-06-30"
CORES = "2"
VIEWS = {
    "ar_aging": "customer_id currency current d1_30 d31_60 d61_90 d90_plus total",
    "project_profitability": "project_id currency name revenue labour_cost material_cost expenses"
    " profit margin",
    "budget_variance": "project_id currency budget spent variance used exceeded",
}
# The fields of each type in the order of its file.
TYPES = {
    "invoicing.invoice_issued": "invoice_id customer_id project_id due_date amount currency",
    "invoicing.invoice_voided": "invoice_id",
    "invoicing.payment_received": "invoice_id amount currency",
    "invoicing.credit_issued": "invoice_id amount currency",
    "purchasing.bill_received": "bill_id project_id amount currency",
    "hr.employee_onboarded": "employee_id hourly_cost start_date currency",
    "hr.employee_rate_changed": "employee_id hourly_cost effective_date",
    "hr.time_logged": "entry_id employee_id project_id work_date hours",
    "hr.time_corrected": "entry_id hours",
    "inventory.stock_issued": "project_id quantity unit_cost",
    "projects.project_created": "project_id name currency",
    "projects.project_status_changed": "project_id",
    "projects.milestone_reached": "project_id",
    "governance.budget_set": "project_id amount currency effective_date",
    "governance.expense_recorded": "project_id amount currency",
    "governance.compliance_checked": "project_id",
}
TEXTS = {"name", "currency"}


def kind(field):
    """The SQL type of a field or of a view's column."""
    if field.endswith("_date"):
        return "DATE"
    if field == "exceeded":
        return "BOOLEAN"
    return "STRING" if field in TEXTS or field.endswith("_id") else "DECIMAL(18, 4)"


def environment(events):
    """A streaming environment on all cores, with the types as tables and the views defined."""
    config = Configuration()
    for key, value in {
        "parallelism.default": CORES,
        "pipeline.object-reuse": "true",
        # What Flink's documents advise for throughput of aggregates.
        "table.exec.mini-batch.enabled": "true",
        "table.exec.mini-batch.allow-latency": "1 s",
        "table.exec.mini-batch.size": "20000",
        "taskmanager.memory.network.min": "512mb",
        "taskmanager.memory.network.max": "512mb",
        "rest.bind-address": "127.0.0.1",
        "rest.address": "127.0.0.1",
        "rest.bind-port": "0",
    }.items():
        config.set_string(key, value)
    settings = EnvironmentSettings.new_instance().in_streaming_mode()
    table = TableEnvironment.create(settings.with_configuration(config).build())
    for name, fields in TYPES.items():
        columns = ["tenant STRING", "event_id STRING", "occurred_at STRING"]
        columns += [f"{field} {kind(field)}" for field in fields.split()]
        table.execute_sql(
            f"CREATE TEMPORARY TABLE `{name}` ({', '.join(columns)}) WITH ("
            f"'connector' = 'filesystem', 'path' = '{events}/{name}.tsv', 'format' = 'csv', "
            "'csv.field-delimiter' = '\t', 'csv.disable-quote-character' = 'true', "
            "'csv.null-literal' = '')"
        )
    text = (pathlib.Path(__file__).parent / "views.sql").read_text()
    text = re.sub(r"^--.*\n", "", text, flags=re.MULTILINE).replace("{today}", TODAY)
    for statement in text.split(";\n"):
        if statement.strip():
            table.execute_sql(statement)
    return table


def run(table, target, where=""):
    """Sends the changes of all views where `target` says; the seconds that the job took."""
    statements = table.create_statement_set()
    for view, columns in VIEWS.items():
        columns = ["tenant", *columns.split()]
        types = ["STRING", *map(kind, columns[1:])]
        text = ", ".join(f"`{name}` {of}" for name, of in zip(columns, types))
        table.execute_sql(f"CREATE TEMPORARY TABLE `{view} sink` ({text}) WITH ({target(view)})")
        values = ", ".join(f"CAST(`{name}` AS {of})" for name, of in zip(columns, types))
        statements.add_insert_sql(f"INSERT INTO `{view} sink` SELECT {values} FROM {view} {where}")
    result = statements.execute().get_job_client().get_job_execution_result().result()
    return result.get_net_runtime() / 1000


def added_up(folder, view):
    """The rows that stand after all changes, by tenant and key."""
    rows = collections.defaultdict(dict)
    for path in sorted(pathlib.Path(folder, view).rglob("*")):
        if path.is_dir() or path.name.startswith("_"):
            continue
        for line in path.read_text().splitlines():
            change = json.loads(line, parse_float=decimal.Decimal, parse_int=decimal.Decimal)
            for side, weight in (("before", -1), ("after", 1)):
                row = change[side]
                if row is None:
                    continue
                tenant = row.pop("tenant")
                key = tuple(sorted((k, text(v)) for k, v in row.items()))
                counts = rows[tenant]
                counts[key] = counts.get(key, 0) + weight
    return {
        tenant: collections.Counter({row: count for row, count in counts.items() if count != 0})
        for tenant, counts in rows.items()
    }


def text(value):
    """A value in a form that is the same from both."""
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, decimal.Decimal):
        return f"{value:.4f}"
    return str(value)


def ours(answer):
    """The service's rows in the same form."""
    names = [column["name"] for column in answer["columns"]]
    return collections.Counter(
        tuple(sorted((name, text(value)) for name, value in zip(names, row)))
        for row in answer["rows"]
    )


def compare(folder, figures):
    """How many rows are equal; ends the run where one is not."""
    equal = 0
    for view in VIEWS:
        theirs = added_up(folder, view)
        for tenant, views in figures.items():
            expected, found = ours(views[view]), theirs.get(tenant, collections.Counter())
            if expected != found:
                missing, more = list((expected - found))[:2], list((found - expected))[:2]
                sys.exit(f"{view} of {tenant} differs: ours {missing}, Flink's {more}")
            equal += sum(expected.values())
    return equal


def main():
    events, total, figures = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    figures = json.loads(pathlib.Path(figures).read_text())
    read = sum(1 for name in TYPES for _ in open(f"{events}/{name}.tsv", "rb"))
    took = run(environment(events), lambda _: "'connector' = 'blackhole'")
    folder = tempfile.mkdtemp()
    try:
        def target(view):
            return (
                f"'connector' = 'filesystem', 'path' = '{folder}/{view}', 'format' = "
                "'debezium-json', 'debezium-json.encode.decimal-as-plain-number' = 'true'"
            )

        tenants = ", ".join(f"'{tenant}'" for tenant in figures)
        run(environment(events), target, f"WHERE tenant IN ({tenants})")
        equal = compare(folder, figures)
    finally:
        shutil.rmtree(folder)
    print("| events of all types | of the types it reads | took | events/s, all | of those read |")
    print("|---|---|---|---|---|")
    print(f"| {total:,} | {read:,} | {took:.2f} s | {total / took:,.0f} | {read / took:,.0f} |")
    print(f"\n{equal:,} rows of {len(figures)} tenants are equal to the service's.")


if __name__ == "__main__":
    main()
