// Dashboards of as many widgets as one may have, each of which follows rows of its own.

/** The most widgets of a dashboard. */
export const TILES = 60;

export const customer = (n) => `C${String(n).padStart(2, '0')}`;
const at = (n) => ({ x: (n % 6) * 2, y: Math.floor(n / 6) * 3, w: 2, h: 3 });

/** Sixty numbers: what each customer owes. */
export const NUMBERS = {
  schema: 1, filters: [],
  widgets: Array.from({ length: TILES }, (_, n) => ({
    id: `n${n}`, title: `Owed by ${customer(n)}`, at: at(n), source: { view: 'ar_aging', where: { customer_id: customer(n) } },
    show: { kind: 'kpi', value: { column: 'total' }, currency: 'currency', delta: { since: 'opened' }, sparkline: 'live' },
  })),
};

const SHOWS = [
  { kind: 'kpi', value: { how: 'count' }, sparkline: 'live' },
  { kind: 'bar', by: 'bucket', values: [{ column: 'balance' }] },
  { kind: 'table', columns: ['invoice_id', 'balance'], limit: 10 },
];

/** Sixty tiles of other rows: numbers, bars and tables of each customer's invoices. */
export const MIXED = {
  schema: 1, filters: [],
  widgets: Array.from({ length: TILES }, (_, n) => ({
    id: `m${n}`, title: `Invoices of ${customer(n)}`, at: at(n), source: { view: 'open_invoices', where: { customer_id: customer(n) } },
    show: SHOWS[n % SHOWS.length],
  })),
};

export const issued = (id, n, amount) => ['invoicing.invoice_issued', {
  invoice_id: id, customer_id: customer(n), issue_date: '2026-03-01', due_date: '2026-03-20', amount: String(amount),
}];
export const paid = (id, invoice_id, amount) =>
  ['invoicing.payment_received', { payment_id: id, invoice_id, amount: String(amount), paid_on: '2026-03-30' }];

/** What a page follows by its WebSockets: how many subscriptions, problems and changes there were. */
export function watch(page) {
  const told = { most: 0, problems: [], deltas: 0 };
  page.on('websocket', (socket) => {
    const open = new Set();
    socket.on('framesent', ({ payload }) => {
      const message = JSON.parse(String(payload));
      if (message.type === 'subscribe') open.add(message.id);
      if (message.type === 'unsubscribe') open.delete(message.id);
      told.most = Math.max(told.most, open.size);
    });
    socket.on('framereceived', ({ payload }) => {
      const text = String(payload);
      if (text.startsWith('{"type":"delta"')) told.deltas += 1;
      else if (text.startsWith('{"type":"error"')) told.problems.push(text);
    });
  });
  return told;
}
