/**
 * What no view tells of a project: how it stands and what it has reached, who worked on it and at which
 * tasks, which products went into it, what its expenses were for and which rules it was checked against. It
 * is asked of the events themselves, in one query, for those who may ask in SQL.
 *
 * The words of docs/views.md hold here too: of a record the latest statement stands, by the time of the
 * event and then by its id, and every movement counts.
 */
import type { Tenant } from '../lib/api';
import type { Decimal } from '../lib/decimal';
import { decimalOf } from '../lib/folds';
import { uses } from '../lib/modules';
import { textOf } from '../lib/ranking';
import type { Rows } from '../lib/rows';

export type Kind = 'fact' | 'milestone' | 'person' | 'task' | 'routine' | 'product' | 'category' | 'bills' | 'rule';

export interface Detail {
  /** Names it among the others of its kind. */
  id: string;
  /** What it is called, where it has a name besides. */
  name: string;
  /** Of an amount of money; else empty. */
  currency: string;
  /** Hours, quantity, amount of money, or number of checks; of a routine the periods in which it was done. */
  amount: Decimal;
  /** Of hours the billable ones, of a product its cost, of a rule the checks that failed, of a routine its streak. */
  part: Decimal;
  /** Of a milestone the day on which it was reached, of a routine on which it was done last; else empty. */
  day: string;
}

interface Section {
  /** The modules whose events and views it reads: all of them must be in use. */
  modules: readonly string[];
  sql: (project: string) => string;
}

const latest = (column: string) => `last_value(${column} ORDER BY occurred_at, event_id) AS ${column}`;
const NONE = 'CAST(0 AS DECIMAL(38, 4))';

/** The latest statement of what a project is, in one respect. */
function factSql(project: string, type: string, column: string): string {
  return `SELECT 'fact' AS kind, '${column}' AS id, CAST(f.${column} AS VARCHAR) AS name, '' AS currency,
  ${NONE} AS amount, ${NONE} AS part, '' AS day
FROM (
  SELECT project_id, ${latest(column)} FROM events."${type}"
  WHERE project_id = ${project}
  GROUP BY project_id
) AS f
WHERE f.${column} IS NOT NULL`;
}

/** The hours on a project, as corrected, by what a column says of their entries. */
function hoursSql(project: string, kind: Kind, column: string): string {
  return `SELECT '${kind}' AS kind, e.${column} AS id, '' AS name, '' AS currency,
  CAST(sum(coalesce(c.hours, e.hours)) AS DECIMAL(38, 4)) AS amount,
  CAST(sum(CASE WHEN e.billable THEN coalesce(c.hours, e.hours) ELSE 0 END) AS DECIMAL(38, 4)) AS part, '' AS day
FROM (
  SELECT entry_id, ${latest(column)}, ${latest('project_id')}, ${latest('hours')}, ${latest('billable')}
  FROM events."hr.time_logged"
  WHERE entry_id IN (SELECT entry_id FROM events."hr.time_logged" WHERE project_id = ${project})
  GROUP BY entry_id
) AS e
LEFT JOIN (
  SELECT entry_id, ${latest('hours')} FROM events."hr.time_corrected" GROUP BY entry_id
) AS c ON c.entry_id = e.entry_id
WHERE e.project_id = ${project} AND e.${column} IS NOT NULL
GROUP BY e.${column}`;
}

const SECTIONS: readonly Section[] = [
  { modules: ['hr'], sql: (project) => hoursSql(project, 'person', 'employee_id') },
  { modules: ['hr', 'tasks'], sql: (project) => hoursSql(project, 'task', 'task_id') },
  {
    // A task names no project: those are the project's for which hours on it were logged.
    modules: ['hr', 'tasks'],
    sql: (project) => `SELECT 'routine' AS kind, r.task_id AS id, coalesce(t.title, '') AS name, '' AS currency,
  CAST(r.completions AS DECIMAL(38, 4)) AS amount, CAST(r.streak AS DECIMAL(38, 4)) AS part,
  coalesce(CAST(r.last_on AS VARCHAR), '') AS day
FROM (
  SELECT task_id, sum(completions) AS completions, max(current_streak) AS streak, max(last_completed_on) AS last_on
  FROM completion_streaks
  WHERE task_id IN (SELECT task_id FROM events."hr.time_logged" WHERE project_id = ${project})
  GROUP BY task_id
) AS r
LEFT JOIN (
  SELECT task_id, ${latest('title')} FROM events."tasks.task_assigned" GROUP BY task_id
) AS t ON t.task_id = r.task_id`,
  },
  {
    modules: ['inventory'],
    sql: (project) => `SELECT 'product' AS kind, s.product_id AS id, coalesce(p.name, '') AS name, '' AS currency,
  s.quantity AS amount, s.cost AS part, '' AS day
FROM (
  SELECT product_id, CAST(sum(quantity) AS DECIMAL(38, 4)) AS quantity,
    TRY_CAST(sum(CAST(quantity AS DECIMAL(76, 4)) * CAST(unit_cost AS DECIMAL(76, 4))) AS DECIMAL(38, 4)) AS cost
  FROM events."inventory.stock_issued"
  WHERE project_id = ${project}
  GROUP BY product_id
) AS s
LEFT JOIN (
  SELECT product_id, ${latest('name')} FROM events."inventory.product_added" GROUP BY product_id
) AS p ON p.product_id = s.product_id`,
  },
  {
    modules: ['governance'],
    sql: (project) => `SELECT 'category' AS kind, e.category AS id, '' AS name, e.currency,
  CAST(sum(e.amount) AS DECIMAL(38, 4)) AS amount, ${NONE} AS part, '' AS day
FROM (
  SELECT coalesce(category, '') AS category, currency, amount
  FROM events."governance.expense_recorded"
  WHERE project_id = ${project}
) AS e
GROUP BY e.category, e.currency`,
  },
  {
    modules: ['governance'],
    sql: (project) => `SELECT 'rule' AS kind, k.rule AS id, '' AS name, '' AS currency,
  CAST(count(*) AS DECIMAL(38, 4)) AS amount,
  CAST(sum(CASE WHEN k.passed THEN 0 ELSE 1 END) AS DECIMAL(38, 4)) AS part, '' AS day
FROM (
  SELECT check_id, ${latest('project_id')}, ${latest('rule')}, ${latest('passed')}
  FROM events."governance.compliance_checked"
  WHERE check_id IN (SELECT check_id FROM events."governance.compliance_checked" WHERE project_id = ${project})
  GROUP BY check_id
) AS k
WHERE k.project_id = ${project}
GROUP BY k.rule`,
  },
  {
    modules: ['purchasing'],
    sql: (project) => `SELECT 'bills' AS kind, '' AS id, '' AS name, b.currency,
  CAST(sum(b.amount) AS DECIMAL(38, 4)) AS amount, ${NONE} AS part, '' AS day
FROM (
  SELECT bill_id, ${latest('project_id')}, ${latest('currency')}, ${latest('amount')}
  FROM events."purchasing.bill_received"
  WHERE bill_id IN (SELECT bill_id FROM events."purchasing.bill_received" WHERE project_id = ${project})
  GROUP BY bill_id
) AS b
WHERE b.project_id = ${project}
GROUP BY b.currency`,
  },
  { modules: ['projects'], sql: (project) => factSql(project, 'projects.project_status_changed', 'status') },
  { modules: ['projects'], sql: (project) => factSql(project, 'projects.project_created', 'manager') },
  { modules: ['projects'], sql: (project) => factSql(project, 'projects.project_created', 'due_date') },
  {
    modules: ['projects'],
    sql: (project) => `SELECT 'milestone' AS kind, m.milestone_id AS id, m.name, '' AS currency,
  ${NONE} AS amount, ${NONE} AS part, CAST(m.reached_on AS VARCHAR) AS day
FROM (
  SELECT milestone_id, ${latest('project_id')}, ${latest('name')}, ${latest('reached_on')}
  FROM events."projects.milestone_reached"
  WHERE milestone_id IN (SELECT milestone_id FROM events."projects.milestone_reached" WHERE project_id = ${project})
  GROUP BY milestone_id
) AS m
WHERE m.project_id = ${project}`,
  },
];

/** The query for all that the firm's modules know of a project; nothing where they know no such thing. */
export function detailsSql(project: string, tenant: Pick<Tenant, 'modules'>): string | null {
  const text = `'${project.replaceAll("'", "''")}'`;
  const known = SECTIONS.filter(({ modules }) => modules.every((module) => uses(tenant, module)));
  return known.length === 0 ? null : known.map(({ sql }) => sql(text)).join('\nUNION ALL\n');
}

/** The details of one kind, the largest first. */
export function detailsOf(rows: Rows, kind: Kind): Detail[] {
  const { columns } = rows;
  const details: Detail[] = [];
  for (const row of rows.values()) {
    const cell = (column: string) => row[columns.at(column)] ?? null;
    if (cell('kind') !== kind) continue;
    details.push({
      id: textOf(cell('id')), name: textOf(cell('name')), currency: textOf(cell('currency')),
      amount: decimalOf(cell('amount')), part: decimalOf(cell('part')), day: textOf(cell('day')),
    });
  }
  return details.sort((a, b) => (a.amount === b.amount ? (a.id < b.id ? -1 : 1) : a.amount > b.amount ? -1 : 1));
}

/** The first few, and what the others come to; nothing where there are no others. */
export function fewOf<T extends { amount: Decimal }>(
  all: readonly T[], most: number,
): { few: T[]; others: { count: number; amount: Decimal } | null } {
  const rest = all.slice(most);
  const amount = rest.reduce((sum, one) => sum + one.amount, 0n);
  return { few: all.slice(0, most), others: rest.length === 0 ? null : { count: rest.length, amount } };
}
