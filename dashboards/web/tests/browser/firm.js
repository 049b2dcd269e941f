// A firm with something of everything that the page can show, for tests that go through all of it.

export const FIRM = {
  id: 'harbour', name: 'Harbour & Finch', timezone: 'Europe/London', currency: 'GBP', clock: 'fixed:2026-03-31',
  vertical: 'wholesale',
  modules: ['crm', 'invoicing', 'purchasing', 'hr', 'inventory', 'projects', 'tasks', 'governance', 'property'],
};

const invoice = (id, customer_id, amount, due_date, more = {}) =>
  ['invoicing.invoice_issued', { invoice_id: id, customer_id, issue_date: '2025-11-01', due_date, amount, ...more }];
const hours = (id, employee_id, project_id, work_date, worked, billable) =>
  ['hr.time_logged', { entry_id: id, employee_id, project_id, work_date, hours: worked, billable }];
const call = (id, user_id, disposition, day) =>
  ['crm.call_logged', { call_id: id, user_id, disposition, duration_s: 300 }, `${day}T10:00:00Z`];

const HISTORY = [
  invoice('I1', 'Nordlicht', '10000.10', '2026-02-04', { project_id: 'P1' }),
  invoice('I2', 'Bluewater', '2500.20', '2026-04-19'),
  invoice('I3', 'Bluewater', '700', '2025-12-01'),
  invoice('I4', 'Delta', '333', '2026-04-30', { currency: 'EUR' }),
  ...Array.from({ length: 60 }, (_, n) => invoice(`S${n}`, `Small ${String(n).padStart(2, '0')}`, String(n + 1), '2026-03-01')),
  ['invoicing.payment_received', { payment_id: 'PAY1', invoice_id: 'I2', amount: '100', paid_on: '2026-03-30' }],
  ['projects.project_created', { project_id: 'P1', name: 'Terminal refit' }],
  ['projects.project_created', { project_id: 'P2', name: 'Warehouse roof' }],
  ['hr.employee_onboarded', { employee_id: 'mira', department: 'Engineering', hourly_cost: '50', weekly_hours: '40', start_date: '2025-01-01' }],
  ['hr.employee_onboarded', { employee_id: 'ada', department: 'Design', hourly_cost: '60', start_date: '2025-06-01' }],
  hours('T1', 'mira', 'P1', '2026-03-24', '30', true), hours('T2', 'mira', 'P1', '2026-03-25', '8', false),
  hours('T3', 'ada', 'P2', '2026-03-24', '12', true), hours('T4', 'mira', 'P1', '2026-03-17', '20', true),
  hours('T5', 'mira', 'P1', '2026-03-30', '4', true),
  ['crm.opportunity_opened', { opportunity_id: 'O1', owner: 'ada', stage: 'proposal', amount: '80000' }],
  ['crm.opportunity_opened', { opportunity_id: 'O2', owner: 'ada', stage: 'contact', amount: '20000' }],
  ['crm.opportunity_opened', { opportunity_id: 'O3', owner: 'ada', stage: 'contact', amount: '500' }],
  ['crm.opportunity_closed', { opportunity_id: 'O3', outcome: 'won', closed_date: '2026-03-01' }],
  call('K1', 'ada', 'reached', '2026-03-02'), call('K2', 'ada', 'missed', '2026-03-05'), call('K3', 'mira', 'reached', '2026-03-09'),
  ['tasks.task_assigned', { task_id: 'Safety walk', user_id: 'mira', cadence: 'daily', start_date: '2026-03-29' }],
  ['tasks.task_completed', { completion_id: 'C1', task_id: 'Safety walk', user_id: 'mira', completed_on: '2026-03-30' }],
  ['inventory.product_added', { product_id: 'S1', name: 'Hex bolt', reorder_point: '100' }],
  ['inventory.stock_received', { movement_id: 'M1', product_id: 'S1', warehouse: 'main', quantity: '60', unit_cost: '2' }],
  ['inventory.stock_issued', { movement_id: 'M2', product_id: 'S1', warehouse: 'main', quantity: '12', unit_cost: '2', project_id: 'P1' }],
  ['governance.budget_set', { project_id: 'P1', amount: '5000', effective_date: '2026-01-01' }],
  ['governance.budget_set', { project_id: 'P2', amount: '800', effective_date: '2026-01-01' }],
  ['governance.expense_recorded', { expense_id: 'X1', project_id: 'P1', category: 'travel', amount: '120.40', spent_on: '2026-02-10' }],
  ['governance.expense_recorded', { expense_id: 'X2', project_id: 'P2', amount: '150', spent_on: '2026-02-10' }],
  ['governance.compliance_checked', { check_id: 'Q1', project_id: 'P1', rule: 'Two signatures', passed: false }],
  ['governance.compliance_checked', { check_id: 'Q2', project_id: 'P1', rule: 'Site insurance', passed: true }],
];

const at = (x, y, w = 4, h = 5) => ({ x, y, w, h });
const of = (view, where) => (where ? { view, where } : { view });

/** A dashboard with each kind of widget, one that no executive may see, and one that has no rows. */
export const EVERY_KIND = {
  schema: 1, about: 'One of each',
  filters: [
    { id: 'customer', title: 'Customer', type: 'text', column: 'customer_id' },
    { id: 'since', title: 'Since', type: 'date', default: '{{this_month.start}}' },
    { id: 'billable', title: 'Billable', type: 'bool' },
  ],
  widgets: [
    {
      id: 'kpi', title: 'Owed', about: 'What customers owe', at: at(0, 0, 4, 4), source: of('ar_aging'),
      show: { kind: 'kpi', value: { column: 'total' }, currency: 'currency', delta: { since: 'opened' }, sparkline: 'live', better: 'lower' },
      thresholds: [{ is: 'above', value: '10000', tone: 'critical' }],
    },
    { id: 'gauge', title: 'Budgets', at: at(4, 0, 4, 4), source: of('budget_variance'), show: { kind: 'gauge', value: { column: 'spent' }, target: { column: 'budget' } } },
    { id: 'text', title: 'About', at: at(8, 0, 4, 4), show: { kind: 'text', text: `What stands here.\n\n${'It is more than there is room for. '.repeat(30)}` } },
    { id: 'line', title: 'Hours', at: at(0, 4), source: of('utilization'), show: { kind: 'line', by: 'week', values: [{ column: 'hours' }, { column: 'billable_hours' }] } },
    { id: 'area', title: 'Calls', at: at(4, 4), source: of('call_activity'), show: { kind: 'area', by: 'day', values: [{ column: 'calls' }], split: 'disposition' } },
    { id: 'bar', title: 'Debtors', at: at(8, 4), source: of('ar_aging'), show: { kind: 'bar', by: 'customer_id', values: [{ column: 'total' }], sort: { column: 'total', descending: true }, limit: 5 } },
    { id: 'stacked', title: 'By age and customer', at: at(0, 9), source: of('open_invoices'), show: { kind: 'stacked_bar', by: 'bucket', values: [{ column: 'balance' }], split: 'currency' } },
    { id: 'pie', title: 'Shares', at: at(4, 9), source: of('open_invoices', { currency: 'GBP' }), show: { kind: 'pie', by: 'bucket', value: { column: 'balance' } } },
    { id: 'funnel', title: 'Stages', at: at(8, 9), source: of('pipeline'), show: { kind: 'funnel', by: 'stage', value: { column: 'opportunities' }, order: ['contact', 'proposal', 'won'] } },
    { id: 'aging', title: 'Ages', at: at(0, 14), source: of('ar_aging'), show: { kind: 'aging', buckets: ['current', 'd1_30', 'd31_60', 'd61_90', 'd90_plus'] } },
    { id: 'calendar', title: 'Calls by day', at: at(4, 14), source: of('call_activity'), show: { kind: 'calendar', day: 'day', value: { column: 'calls' } } },
    {
      id: 'table', title: 'Invoices', at: at(8, 14), source: of('open_invoices'),
      show: { kind: 'table', columns: ['invoice_id', 'customer_id', 'balance', 'days_overdue'], sort: { column: 'balance', descending: true }, limit: 20 },
      thresholds: [{ column: 'days_overdue', is: 'above', value: '50', tone: 'warning' }],
    },
    { id: 'sql', title: 'Asked', at: at(0, 19, 4, 3), source: { sql: 'SELECT count(*) AS n FROM open_invoices' }, show: { kind: 'kpi', value: { column: 'n' } } },
    { id: 'empty', title: 'Repairs', at: at(4, 19, 4, 3), source: of('maintenance_backlog'), show: { kind: 'bar', by: 'priority', values: [{ column: 'open' }] } },
  ],
};

/** Makes the firm, and what its people have made: a dashboard and a report, whose ids it gives. */
export async function furnish(service) {
  await service.createTenant(FIRM);
  await service.post(FIRM.id, ...HISTORY);
  const token = await service.token('analyst', FIRM.id);
  const made = async (path, of) => (await service.call('POST', path, token, JSON.stringify(of))).id;
  return {
    board: await made('/v1/dashboards', { name: 'Every kind', document: EVERY_KIND }),
    report: await made('/v1/reports', {
      name: 'Debts', sql: 'SELECT customer_id, sum(balance) AS owed FROM open_invoices WHERE balance > $1 GROUP BY 1',
      params: [{ name: 'least', type: 'int', default: 5 }], schedule: { cron: '0 7 * * MON' },
    }),
  };
}
