import { describe, expect, it } from 'vitest';
import { eventsPath } from '../../src/explanation/api';
import {
  amountKind, amountText, balance, exactText, figureKind, isExplained, isSum, lines, parseExact, partLabel,
  rowText, ruleText, type Explanation,
} from '../../src/explanation/explanation';
import { address, placeOf } from '../../src/lib/place';
import type { Cell } from '../../src/lib/protocol';

const columns = [
  { name: 'part', type: 'text' }, { name: 'type', type: 'text' }, { name: 'event_id', type: 'text' },
  { name: 'occurred_at', type: 'timestamp' }, { name: 'subject', type: 'text' }, { name: 'amount', type: 'decimal' },
  { name: 'reference', type: 'text' }, { name: 'project_id', type: 'text' }, { name: 'day', type: 'date' },
  { name: 'quantity', type: 'decimal' }, { name: 'rate', type: 'decimal' },
];

function event(part: string, type: string, id: string, amount: string | null, ...about: Cell[]): Cell[] {
  return [part, type, id, '2026-03-01T09:00:00Z', null, amount, ...about, ...Array<null>(5 - about.length).fill(null)];
}

const PROFIT: Explanation = {
  view: 'project_profitability', key: { project_id: 'P1', currency: 'GBP' },
  row: { project_id: 'P1', currency: 'GBP', name: 'Terminal refit', profit: '9750.0003' },
  column: 'profit', value: '9750.0003', sum: '9750.0003', rule: 'revenue - labour - material',
  parts: [
    { part: 'revenue', sum: '10000.0000', events: 2 }, { part: 'labour', sum: '-249.9997', events: 1 },
    { part: 'material', sum: '0.0000', events: 0 },
  ],
  withheld: [], columns,
  rows: [
    event('revenue', 'invoicing.invoice_issued', 'e1', '10100.00000000', 'I1', 'P1', '2026-01-05'),
    event('revenue', 'invoicing.credit_issued', 'e2', '-100.00000000', 'C1', 'P1', '2026-01-06'),
    event('labour', 'hr.time_logged', 'e3', '-249.99974992', 'T1', 'P1', '2026-02-02', '7.5000', '33.3333'),
  ],
  next: null, position: 'p9', as_of: '2026-03-31',
};

describe('amounts of events', () => {
  it.each([
    ['12.3400', 1_234_000_000n], ['-0.00000001', -1n], ['0.1234567800', 12_345_678n], [3, 300_000_000n],
    [null, 0n], ['99999999999999999999.5', 9_999_999_999_999_999_999_950_000_000n],
  ])('%j are exact', (cell, exact) => {
    expect(parseExact(cell)).toBe(exact);
  });

  it.each(['', 'x', '1e3', '0.000000001', '--1', '1.2.3', true])('%j are none', (cell) => {
    expect(() => parseExact(cell)).toThrow(RangeError);
  });

  it('read with their sign and all places, money with two at least', () => {
    expect(amountText(parseExact('1234567.5'), 'money', true)).toBe('+1,234,567.50');
    expect(amountText(parseExact('-249.99974992'), 'money', true)).toBe('−249.99974992');
    expect(amountText(parseExact('0'), 'money', true)).toBe('0.00');
    expect(amountText(parseExact('60.0000'), 'quantity')).toBe('60');
    expect(amountText(parseExact(1), 'count', true)).toBe('+1');
  });

  it('read as the figure does where they add up to it', () => {
    expect(amountKind(PROFIT, 'money')).toBe('money');
    expect(amountKind({ ...PROFIT, column: 'margin', rule: 'profit ÷ revenue' }, 'percent')).toBe('money');
    expect(amountKind({ ...PROFIT, view: 'inventory_levels' }, 'money')).toBe('quantity');
    expect(amountKind({ ...PROFIT, view: 'open_invoices', rule: 'today - due_date' }, 'count')).toBeNull();
    expect(amountKind({ ...PROFIT, view: 'compliance_failures', rule: 'when it was stated' }, 'moment')).toBeNull();
  });
});

describe('a figure', () => {
  it('reads with all its places', () => {
    expect(exactText('9750.0003', 'money')).toBe('9,750.0003');
    expect(exactText('41203.0000', 'money')).toBe('41,203.00');
    expect(exactText('7.2500', 'hours')).toBe('7.25');
    expect(exactText('0.8125', 'percent')).toBe('81.25%');
    expect(exactText(true, 'flag')).toBe('Yes');
    expect(exactText(null, 'money')).toBe('–');
    expect(exactText('2026-03-01T09:00:00Z', 'moment')).toBe('1 Mar 2026, 09:00 UTC');
  });

  it('is known by what it is', () => {
    const kinds: [string, Cell, string][] = [
      ['balance', '1.0000', 'money'], ['active', 3, 'count'], ['below_reorder', false, 'flag'],
      ['margin', '0.5000', 'percent'], ['on_hand', '4.0000', 'quantity'], ['name', 'Bolt', 'text'], ['name', null, 'text'],
      ['used', '0.2500', 'percent'], ['failed_at', '2026-03-01T09:00:00Z', 'moment'],
    ];
    for (const [column, value, kind] of kinds) expect(figureKind(column, value), column).toBe(kind);
  });

  it('is explained where it is one, and no part of the key', () => {
    const key = ['day'];
    const explained = [
      { name: 'calls', type: 'int' }, { name: 'below_reorder', type: 'bool' }, { name: 'customer_id', type: 'text' },
      { name: 'due_date', type: 'date' }, { name: 'day', type: 'int' },
    ].filter((column) => isExplained(column, key));
    expect(explained.map(({ name }) => name)).toEqual(['calls', 'below_reorder']);
  });

  it('says how it is made', () => {
    expect(isSum(PROFIT)).toBe(true);
    expect(ruleText(PROFIT)).toBe('Invoiced, less credits − hours at their rates − material');
    const other = (rule: string) => ruleText({ ...PROFIT, rule });
    expect(isSum({ ...PROFIT, rule: 'profit ÷ revenue' })).toBe(false);
    expect(other('profit ÷ revenue')).toBe('Profit ÷ revenue');
    expect(other('as stated in project')).toBe('As the event states');
    expect(other('some_new rule')).toBe('Some new rule');
    expect(ruleText({ ...PROFIT, rule: 'labour', parts: PROFIT.parts.slice(1, 2) })).toBeNull();
    expect(partLabel('own', 'odd_part')).toBe('Odd part');
  });

  it('is named by its row', () => {
    expect(rowText(PROFIT.row, PROFIT.key)).toBe('Terminal refit · P1 · GBP');
    expect(rowText({ currency: 'EUR' }, { invoice_id: 'I1' })).toBe('I1 · EUR');
    expect(rowText({}, { project_id: 'P2', currency: null })).toBe('P2');
  });
});

describe('the list', () => {
  it('runs to the total', () => {
    expect(lines(PROFIT).map((line) => [line.what, line.about, line.soFar])).toEqual([
      ['Invoice', 'I1 · 5 Jan 2026', parseExact('10100')],
      ['Credit note', 'C1 · 6 Jan 2026', parseExact('10000')],
      ['Hours', 'T1 · 2 Feb 2026 · Quantity 7.5 · Rate 33.3333', parseExact('9750.00025008')],
    ]);
  });

  it('says a name once, and leaves alone what has none', () => {
    const list = [...columns.slice(0, 7), { name: 'invoice_id', type: 'text' }, { name: 'due_date', type: 'date' }, { name: 'period', type: 'int' }];
    const row = (subject: Cell, invoice: Cell) =>
      ['current', 'invoicing.payment_received', 'e', '2026-03-01T09:00:00Z', subject, '-1.0000', 'PAY1', invoice, '2026-02-04', 7];
    const about = (subject: Cell, invoice: Cell) =>
      lines({ columns: list, rows: [row(subject, invoice)], key: {} }).map((line) => line.about);
    expect(about(null, 'I1')).toEqual(['PAY1 · Invoice I1 · Due 4 Feb 2026']);
    expect(about('PAY1', 'PAY1')).toEqual(['PAY1 · Due 4 Feb 2026']);
  });

  it('leaves rounding alone to the figure', () => {
    expect(balance(PROFIT)).toEqual({ rest: null, rounding: parseExact('0.00004992'), agrees: true });
  });

  it('does not agree where an amount is missing, or the figure says something else', () => {
    expect(balance({ ...PROFIT, rows: PROFIT.rows.slice(1) }).agrees).toBe(false);
    expect(balance({ ...PROFIT, value: '9750.0004' }).agrees).toBe(false);
    const parts = PROFIT.parts.map((part) => (part.part === 'material' ? { ...part, sum: '1.0000' } : part));
    expect(balance({ ...PROFIT, parts }).agrees).toBe(false);
  });

  it('says what comes after it, and what is withheld', () => {
    const withheld = [{ module: 'hr', sum: '-249.99974992', events: 1 }];
    expect(balance({ ...PROFIT, rows: PROFIT.rows.slice(0, 2), withheld }).agrees).toBe(true);
    const cut = { ...PROFIT, rows: PROFIT.rows.slice(0, 1), withheld, next: 'c' };
    expect(balance(cut)).toEqual({
      rest: { events: 1, amount: parseExact('-99.99995008') }, rounding: 0n, agrees: true,
    });
  });

  it('shows an event that states something without an amount, and one of a kind that is new', () => {
    const rows = [event('project', 'projects.project_renamed', 'e', null, 'P1')];
    expect(lines({ columns, rows, key: {} })).toEqual([{
      id: 'project projects.project_renamed e', what: 'Project renamed', about: 'P1', at: '2026-03-01T09:00:00Z',
      amount: null, soFar: 0n,
    }]);
  });
});

describe('the address of a figure', () => {
  it('leads back to it, with rows that are limited and values that are missing', () => {
    const why = { column: 'profit', key: { project_id: 'P&1 "ü"', currency: null } };
    const at = new URL(address('projects', { customer_id: 'C=7' }, why), 'https://page.example');
    expect(placeOf(at.pathname, at.search)).toEqual({ page: 'projects', where: { customer_id: 'C=7' }, why });
    expect(placeOf('/projects/', '')).toEqual({ page: 'projects', where: {}, why: null });
    expect(address('projects')).toBe('/projects');
  });

  it.each(['?why=profit', '?of={}', '?why=profit&of={"a":', '?why=profit&of=[1]', '?why=profit&of=7', '?why=profit&of=null'])(
    '%s leads to the rows', (search) => {
      expect(placeOf('/projects', search)).toEqual({ page: 'projects', where: {}, why: null });
    },
  );

  it('is asked of the service with the key as it is', () => {
    const path = eventsPath('ar_aging', { column: 'total', key: { customer_id: 'A&B', currency: null } }, 100);
    const asked = new URL(path, 'https://page.example');
    expect(asked.pathname).toBe('/v1/views/ar_aging/explain');
    expect(Object.fromEntries(asked.searchParams)).toEqual({
      key: '{"customer_id":"A&B","currency":null}', column: 'total', limit: '100',
    });
  });
});
