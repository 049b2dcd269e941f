import { describe, expect, it } from 'vitest';
import { bridge, bridgeText } from '../../src/charts/bridge';
import { projectNames } from '../../src/lib/figures.svelte';
import { listColumns, sortRows } from '../../src/lib/listing';
import { uses } from '../../src/lib/modules';
import { address, placeOf, projectAddress, projectOf } from '../../src/lib/place';
import type { Cell, Column } from '../../src/lib/protocol';
import { Rows } from '../../src/lib/rows';
import { cellText, tables } from '../../src/lib/tables';
import { detailsOf, detailsSql, fewOf } from '../../src/project/details';
import { amountOf, byLargest, currencyOf, factOf, linesOf, ratioOf, tableOf } from '../../src/project/lines';

function rowsOf(columns: readonly Column[], key: readonly string[], ...rows: Cell[][]): Rows {
  const held = new Rows();
  held.snapshot({ type: 'snapshot', id: 's', position: 'p', columns, key, rows, last: true });
  return held;
}

const MONEY = [
  { name: 'project_id', type: 'text' }, { name: 'currency', type: 'text' }, { name: 'name', type: 'text' },
  { name: 'revenue', type: 'decimal' }, { name: 'profit', type: 'decimal' }, { name: 'margin', type: 'decimal' },
];
const earned = () => rowsOf(
  MONEY, ['project_id', 'currency'],
  ['P1', 'GBP', 'Refit', '1000.0000', '-250.5000', '-0.2505'], ['P1', null, 'Refit', '0.0000', null, null],
);

describe('what projects are called', () => {
  it('stands with their figures, once for all their currencies, and not where nobody has named them', () => {
    const rows = rowsOf(
      MONEY, ['project_id', 'currency'],
      ['P1', 'GBP', 'Refit', '0', '0', null], ['P1', 'EUR', 'Refit', '0', '0', null], ['P2', 'GBP', null, '0', '0', null],
    );
    expect([...projectNames(rows)]).toEqual([['P1', 'Refit']]);
  });

  it('is not known before all rows are there', () => {
    expect(projectNames(new Rows()).size).toBe(0);
  });
});

describe('the address of a project', () => {
  it.each(['P1', 'P 1', 'a/b', '/a', 'a/', '50%', 'v1.2', 'Ü "q"?#&', '%2F'])('%j leads to its page', (id) => {
    const why = { column: 'profit', key: { project_id: id, currency: null } };
    for (const place of [projectAddress(id), projectAddress(id, why)]) {
      const at = new URL(place, 'https://page.example');
      const { page, where } = placeOf(at.pathname, at.search);
      expect(projectOf(page)).toBe(id);
      expect(where).toEqual({});
      // The service takes a last part with a point for a file.
      expect(at.pathname.split('/').pop()).not.toContain('.');
      // What is closed over the page leads back to it.
      expect(address(page)).toBe(projectAddress(id));
    }
    const at = new URL(projectAddress(id, why), 'https://page.example');
    expect(placeOf(at.pathname, at.search).why).toEqual(why);
  });

  it('is not that of the rows, nor of any other page', () => {
    for (const path of ['/', '/projects', '/projects/', '/projects//', '/invoices', '/reports/new']) {
      expect(projectOf(placeOf(path, '').page), path).toBeNull();
    }
    expect(placeOf('/projects', '?project_id=P1')).toEqual({ page: 'projects', where: { project_id: 'P1' }, why: null });
    expect(address('reports/R.1/edit')).toBe('/reports/R.1/edit');
  });

  it('that means nothing is left as it stands', () => {
    expect(placeOf('/projects/50%', '').page).toBe('projects/50%');
  });

  it('is where the rows of projects lead', () => {
    for (const page of ['projects', 'hours', 'budgets']) {
      expect(tables[page]?.leads?.by).toBe('project_id');
      expect(tables[page]?.leads?.to('P 1')).toBe('/projects/P%201');
    }
    expect(tables['customers']?.leads?.to('C&7')).toBe('/invoices?customer_id=C%267');
  });
});

describe('the rows of a project', () => {
  it('have the way from each figure to its events', () => {
    const [first, second] = linesOf(earned(), 'P1');
    if (!first || !second) throw new Error('no rows');
    const at = (place: string) => {
      const { pathname, search } = new URL(place, 'https://page.example');
      return placeOf(pathname, search).why;
    };
    expect(at(first.why('profit'))).toEqual({ column: 'profit', key: { project_id: 'P1', currency: 'GBP' } });
    expect(at(second.why('revenue'))).toEqual({ column: 'revenue', key: { project_id: 'P1', currency: null } });
    expect([currencyOf(first), currencyOf(second)]).toEqual(['GBP', '']);
  });

  it('are not there before they have come', () => {
    expect(linesOf(new Rows(), 'P1')).toEqual([]);
  });

  it('tell nothing from what is not known', () => {
    const [first, second] = linesOf(earned(), 'P1');
    expect(amountOf(first ?? null, 'profit')).toBe(-2_505_000n);
    expect(ratioOf(first ?? null, 'margin')).toBe(-2_505n);
    expect(amountOf(second ?? null, 'profit')).toBeNull();
    expect(ratioOf(second ?? null, 'margin')).toBeNull();
    expect(amountOf(null, 'profit')).toBeNull();
    expect(factOf(null, 'profit', 'Profit')).toEqual({ id: 'profit', name: 'Profit', value: null, why: '' });
    expect(byLargest(linesOf(earned(), 'P1'), 'revenue').map(currencyOf)).toEqual(['GBP', '']);
  });

  it('are explained by the table that has the column', () => {
    const views = ['profit', 'margin', 'variance', 'used', 'hours', 'billable_hours', 'balance', 'failed_at']
      .map((column) => tableOf(column)?.view);
    expect(views).toEqual([
      'project_profitability', 'project_profitability', 'budget_variance', 'budget_variance',
      'labour_hours', 'labour_hours', 'open_invoices', 'compliance_failures',
    ]);
    expect(tableOf('current_streak')).toBeUndefined();
  });
});

describe('what it earned and cost', () => {
  it('goes from the revenue to the profit', () => {
    const sums: Record<string, bigint> = {
      revenue: 10_000_000n, labour_cost: 6_000_000n, material_cost: 0n, expenses: 5_000_000n, profit: -1_000_000n,
    };
    const steps = bridge((column) => sums[column] ?? 0n);
    expect(steps.map(({ value, from, note }) => [value, from, note])).toEqual([
      [10_000_000n, 0n, ''], [-6_000_000n, 10_000_000n, '60%'], [0n, 4_000_000n, '0%'],
      [-5_000_000n, 4_000_000n, '50%'], [-1_000_000n, 0n, '−10%'],
    ]);
    expect(bridgeText(steps, 'GBP')).toBe(
      'Revenue: 1,000.00 GBP; Labour: −600.00 GBP; Material: 0.00 GBP; Expenses: −500.00 GBP; Profit: −100.00 GBP',
    );
  });

  it('shows a dash for shares of no revenue', () => {
    expect(bridge(() => 0n).map(({ note }) => note)).toEqual(['', '–', '–', '–', '–']);
  });
});

describe('details of a project', () => {
  const all = { modules: [] };

  it('are asked of the modules that the firm uses, and of no other', () => {
    const types = (modules: string[]) =>
      [...new Set([...(detailsSql('P1', { modules }) ?? '').matchAll(/events\."(\w+)\./g)].map(([, module]) => module))];
    expect(types([])).toEqual(['hr', 'tasks', 'inventory', 'governance', 'purchasing', 'projects']);
    expect(types(['hr', 'projects'])).toEqual(['hr', 'projects']);
    expect(types(['governance', 'crm'])).toEqual(['governance']);
    // Hours alone name both a task and a project.
    expect(detailsSql('P1', { modules: ['invoicing', 'tasks'] })).toBeNull();
    expect(detailsSql('P1', { modules: ['hr'] })).not.toMatch(/completion_streaks|task_id/);
    expect(uses(null, 'hr')).toBe(true);
  });

  it('are asked for by the id as it is, whatever it is made of', () => {
    const sql = detailsSql("O'Neil''s; --", all) ?? '';
    expect(sql.match(/= '[^;]*; --'/g)?.every((text) => text === "= 'O''Neil''''s; --'")).toBe(true);
    expect(sql.match(/O''Neil/g)?.length).toBeGreaterThan(5);
    // A subscription takes no parameters.
    expect(sql).not.toContain('$');
  });

  const columns = [
    { name: 'kind', type: 'text' }, { name: 'id', type: 'text' }, { name: 'name', type: 'text' },
    { name: 'currency', type: 'text' }, { name: 'amount', type: 'decimal' }, { name: 'part', type: 'decimal' },
    { name: 'day', type: 'text' },
  ];

  it('come by kind, the largest first, and are added up exactly beyond the first few', () => {
    const rows = rowsOf(
      columns, [],
      ['person', 'mira', '', '', '7.7500', '7.7500', ''], ['product', 'S1', 'Hex bolt', '', '12.5000', '31.2500', ''],
      ['person', 'ada', '', '', '20.0000', '0.0000', ''], ['person', 'bo', '', '', '7.7500', '1.0000', ''],
      ['category', '', '', 'GBP', '120.4000', '0.0000', ''],
      ['milestone', 'MS1', 'Foundations', '', '0.0000', '0.0000', '2026-02-20'],
    );
    const people = detailsOf(rows, 'person');
    expect(people.map(({ id, amount, part }) => [id, amount, part])).toEqual([
      ['ada', 200_000n, 0n], ['bo', 77_500n, 10_000n], ['mira', 77_500n, 77_500n],
    ]);
    expect(detailsOf(rows, 'product')).toEqual([
      { id: 'S1', name: 'Hex bolt', currency: '', amount: 125_000n, part: 312_500n, day: '' },
    ]);
    expect(detailsOf(rows, 'milestone').map(({ name, day }) => [name, day])).toEqual([['Foundations', '2026-02-20']]);
    expect(detailsOf(rows, 'rule')).toEqual([]);
    expect(detailsOf(new Rows(), 'person')).toEqual([]);
    expect(fewOf(people, 1)).toEqual({ few: [people[0]], others: { count: 2, amount: 155_000n } });
    expect(fewOf(people, 3).others).toBeNull();
  });
});

describe('failed checks', () => {
  it('are listed by the moment they failed', () => {
    const columns = [{ name: 'check_id', type: 'text' }, { name: 'failed_at', type: 'timestamp' }];
    const rows = rowsOf(
      columns, ['check_id'], ['K1', '2026-02-01T09:00:00Z'], ['K2', '2026-03-01T09:00:00Z'], ['K3', null],
    );
    const list = listColumns(columns);
    expect(list.map(({ kind }) => kind)).toEqual(['text', 'moment']);
    const sorted = sortRows([...rows.values()], list, { column: 'failed_at', descending: true });
    expect(sorted.map(([id]) => id)).toEqual(['K2', 'K1', 'K3']);
    expect(cellText('2026-03-01T09:00:00Z', 'moment')).toBe('1 Mar 2026, 09:00 UTC');
  });
});
