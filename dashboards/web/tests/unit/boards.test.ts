import { describe, expect, it } from 'vitest';
import dateWords from '../../../date_words.json';
import { calendarsOf, spanOf } from '../../src/boards/calendar';
import { dayOf } from '../../src/boards/dates';
import {
  columnsOf, inReadingOrder, KINDS, normalised, type BarShow, type DashboardDocument, type Filter, type Show, type Widget,
} from '../../src/boards/document';
import { agingOf, drawingOf, summary } from '../../src/boards/drawing';
import { limitsOf, openedRows, withFilters, withoutRows, withRows } from '../../src/boards/drill';
import { digits, readExact, toDecimal } from '../../src/boards/exact';
import { addressOf, isValue, readValue, valuesOf } from '../../src/boards/filters';
import { compareCells, currenciesOf, currencyColumn, fold } from '../../src/boards/fold';
import { areaOf, heightOf } from '../../src/boards/grid';
import type { Held } from '../../src/boards/held';
import { courseOf, coursePath, figuresOf, funnelsOf, piesOf } from '../../src/boards/parts';
import { plotOf, readingAt } from '../../src/boards/plot';
import { amountText, axisText, numberText, titleOf } from '../../src/boards/reading';
import { secondsOf, turned } from '../../src/boards/rotation';
import { shownRows } from '../../src/boards/rows_table';
import { literal, narrows, needsDay, read, wanted, type KnownView } from '../../src/boards/source';
import { thresholdsOf, toneOf, worst } from '../../src/boards/thresholds';
import { emptyWords, troubleOf } from '../../src/boards/trouble';
import { toCsv } from '../../src/lib/csv';
import { placesOf } from '../../src/lib/format';
import type { Row } from '../../src/lib/protocol';
import { Columns } from '../../src/lib/rows';
import { withParameters } from '../../src/sql/parameters';

const AGING = [
  { name: 'customer_id', type: 'text' }, { name: 'currency', type: 'text' }, { name: 'current', type: 'decimal' },
  { name: 'd90_plus', type: 'decimal' }, { name: 'total', type: 'decimal' },
];
const held = (columns: readonly { name: string; type: string }[], rows: Row[], key: string[] = []): Held =>
  ({ columns: new Columns(columns), key, rows });
const OWED = held(AGING, [
  ['C1', 'EUR', '10.0000', '5.0001', '15.0001'],
  ['C2', 'EUR', '20.0000', '0.0000', '20.0000'],
  ['C1', 'GBP', '1.0000', '0.5000', '1.5000'],
  ['C3', null, '7.0000', '0.0000', '7.0000'],
], ['customer_id', 'currency']);
const around = { own: 'GBP', timezone: 'Europe/London', today: '2026-03-31', still: true };
const exact = (text: string) => readExact(text) ?? 0n;
const on = (today: string, timezone = 'UTC') => ({ today, timezone });

describe('exact numbers', () => {
  it('are read from any cell that is one, and from no other', () => {
    expect(digits(exact('0.1') + exact('0.2'))).toBe('0.3');
    expect(digits(exact('-1234.5000'))).toBe('-1234.5');
    expect(digits(exact('99999999999999999999999999999999.0001'))).toBe('99999999999999999999999999999999.0001');
    expect(digits(readExact(1e-7) ?? 0n)).toBe('0.0000001');
    expect(digits(readExact(1.5e21) ?? 0n)).toBe('1500000000000000000000');
    for (const none of ['', 'C1', '2026-03-31', true, null, undefined, 'NaN']) expect(readExact(none), String(none)).toBeNull();
  });

  it('are rounded once, half away from zero', () => {
    expect(toDecimal(exact('0.00005'))).toBe(1n);
    expect(toDecimal(exact('-0.00005'))).toBe(-1n);
    expect(toDecimal(exact('0.000049999999'))).toBe(0n);
  });
});

describe('rows folded', () => {
  it('add up by what they are told apart by, exactly', () => {
    const [first, ...others] = fold(OWED.rows, OWED.columns, {
      measures: [{ column: 'total' }, { how: 'count' }, { column: 'd90_plus', how: 'max' }, { column: 'd90_plus', how: 'avg' }],
      currency: 'currency',
    });
    expect(first?.values.map((value) => digits(value ?? 0n))).toEqual(['35.0001', '2', '5.0001', '2.50005']);
    expect(others.map(({ currency, rows }) => [currency, rows])).toEqual([['GBP', 1], [null, 1]]);
  });

  it('have no sum of nothing, and a number of rows without numbers', () => {
    const empty = held([{ name: 'n', type: 'int' }], [[null], [null]]);
    const [group] = fold(empty.rows, empty.columns, { measures: [{ column: 'n' }, { how: 'count' }, { column: 'n', how: 'min' }] });
    expect(group?.values).toEqual([null, exact('2'), null]);
  });

  it('never mix currencies, also where the widget names none', () => {
    const columns = new Columns(AGING);
    expect(currencyColumn(undefined, [{ column: 'total' }], columns)).toBe('currency');
    expect(currencyColumn(undefined, [{ how: 'count' }], columns)).toBeUndefined();
    expect(currencyColumn('other', [{ column: 'total' }], columns)).toBe('other');
    expect(currencyColumn(undefined, [{ column: 'value' }], new Columns([{ name: 'value', type: 'decimal' }]))).toBeUndefined();
    const figures = figuresOf(OWED, { kind: 'kpi', value: { column: 'total' } }, 'GBP');
    expect(figures.map(({ value, reading }) => amountText(value, reading))).toEqual(['1.50 GBP', '35.00 EUR', '7.00']);
    // An amount that was cast is one still, and a number of rows is none.
    const cast = new Columns([{ name: 'currency', type: 'text' }, { name: 'amount', type: 'float' }, { name: 'cents', type: 'int' }]);
    expect(currencyColumn(undefined, [{ column: 'amount' }], cast)).toBe('currency');
    expect(currencyColumn(undefined, [{ column: 'cents', how: 'max' }], cast)).toBe('currency');
    expect(currencyColumn(undefined, [{ column: 'currency', how: 'max' }], cast)).toBeUndefined();
    const floats = held(cast.list, [['EUR', 1.5, 150], ['USD', 2.25, 225], ['EUR', 1, 100]]);
    const apart = figuresOf(floats, { kind: 'kpi', value: { column: 'amount' } }, 'EUR');
    expect(apart.map(({ value, reading }) => amountText(value, reading))).toEqual(['2.5 in EUR', '2.25 in USD']);
  });

  it('state the firm’s currency first and what has none last', () => {
    const groups = fold(OWED.rows, OWED.columns, { measures: [], currency: 'currency' });
    expect(currenciesOf(groups, 'GBP')).toEqual(['GBP', 'EUR', null]);
    expect(currenciesOf(groups, undefined)).toEqual(['EUR', 'GBP', null]);
  });

  it('are ordered by size, as days and as text, and nothing comes last', () => {
    expect(['10.5', '9', null, '-1'].sort(compareCells)).toEqual(['-1', '9', '10.5', null]);
    expect(['2026-02-01', '2025-12-31'].sort(compareCells)).toEqual(['2025-12-31', '2026-02-01']);
    expect(['C10', 'C9'].sort(compareCells)).toEqual(['C9', 'C10']);
    expect([true, false].sort(compareCells)).toEqual([false, true]);
  });
});

describe('bars and lines', () => {
  const bars = (about: Partial<BarShow>): BarShow => ({ kind: 'bar', by: 'customer_id', values: [{ column: 'total' }], ...about });

  it('have a series for each currency and lead to their rows', () => {
    const plot = plotOf(OWED, bars({ currency: 'currency' }), 'GBP', 'UTC');
    expect(plot.names).toEqual(['C1', 'C2', 'C3']);
    expect(plot.courses.map(({ name }) => name)).toEqual(['Total · GBP', 'Total · EUR', 'Total · no currency']);
    expect(plot.courses[1]?.values.map((value) => (value === null ? null : digits(value)))).toEqual(['15.0001', '20', null]);
    expect(plot.courses[0]?.pick).toEqual({ currency: 'GBP' });
    expect(new Set(plot.courses.map(({ stack }) => stack)).size).toBe(3);
  });

  it('are sorted by a measure, by another column and by name, the first ones kept', () => {
    const eur = held(AGING, OWED.rows.filter((row) => row[1] === 'EUR'));
    const by = (column: string, descending: boolean, limit?: number) =>
      plotOf(eur, bars({ sort: { column, descending }, ...(limit === undefined ? {} : { limit }) }), 'EUR', 'UTC');
    expect(by('total', true).names).toEqual(['C2', 'C1']);
    expect(by('d90_plus', true).names).toEqual(['C1', 'C2']);
    expect(by('customer_id', true).names).toEqual(['C2', 'C1']);
    const first = by('total', true, 1);
    expect([first.names, first.allKeys]).toEqual([['C2'], 1]);
    expect(first.courses[0]?.name).toBe('Total');
    expect(first.courses[0]?.reading.currency).toBe('EUR');
  });

  it('along currencies have one colour, and each its own unit', () => {
    const plot = plotOf(OWED, bars({ by: 'currency', currency: 'currency' }), 'GBP', 'UTC');
    expect(plot.courses).toHaveLength(1);
    const [course] = plot.courses;
    expect(course && plot.names.map((_, at) => readingAt(plot, course, at).currency)).toEqual(['EUR', 'GBP', null]);
  });

  it('are split by a column, in order of the axis', () => {
    const calls = held(
      [{ name: 'day', type: 'date' }, { name: 'disposition', type: 'text' }, { name: 'calls', type: 'int' }],
      [['2026-03-02', 'busy', 2], ['2026-03-01', 'reached', 5], ['2026-03-02', 'reached', 1]],
    );
    const plot = plotOf(calls, { kind: 'line', by: 'day', values: [{ column: 'calls' }], split: 'disposition' }, 'EUR', 'UTC');
    expect(plot.names).toEqual(['1 Mar 2026', '2 Mar 2026']);
    expect(plot.courses.map(({ name, values }) => [name, values.map((value) => value && digits(value))])).toEqual([
      ['busy', [null, '2']], ['reached', ['5', '1']],
    ]);
  });

  it('of ages stand beside each other for the currencies', () => {
    const plot = agingOf(OWED, { kind: 'aging', buckets: ['current', 'd90_plus'] }, 'GBP');
    expect(plot.names).toEqual(['Not yet due', 'Over 90 days']);
    expect(plot.courses.map(({ name, values }) => [name, values.map((value) => digits(value ?? 0n))])).toEqual([
      ['GBP', ['1', '0.5']], ['EUR', ['30', '5.0001']], ['no currency', ['7', '0']],
    ]);
  });
});

describe('parts of a whole', () => {
  const stock = held(
    [{ name: 'warehouse', type: 'text' }, { name: 'value', type: 'decimal' }],
    [['A', '5.0000'], ['B', '50.0000'], ['C', '3.0000'], ['D', '-2.0000'], ['E', '1.0000']],
  );

  it('are the largest, and what is left is one more', () => {
    const [pie] = piesOf(stock, { kind: 'pie', by: 'warehouse', value: { column: 'value' }, limit: 2 }, 'EUR', 'UTC');
    expect(pie?.parts.map(({ name, value }) => [name, digits(value)])).toEqual([['B', '50'], ['A', '5'], ['Other', '4']]);
    expect([pie?.below, digits(pie?.sum ?? 0n)]).toEqual([1, '59']);
    const [whole] = piesOf(stock, { kind: 'pie', by: 'warehouse', value: { column: 'value' }, limit: 3 }, 'EUR', 'UTC');
    expect(whole?.parts.map(({ name }) => name)).toEqual(['B', 'A', 'C', 'E']);
  });

  it('are steps in the order that was asked for, also those of no row', () => {
    const pipeline = held(
      [{ name: 'stage', type: 'text' }, { name: 'currency', type: 'text' }, { name: 'amount', type: 'decimal' }],
      [['won', 'EUR', '1.0000'], ['proposal', 'EUR', '4.0000'], ['lost', 'EUR', '9.0000']],
    );
    const [funnel] = funnelsOf(pipeline, { kind: 'funnel', by: 'stage', value: { column: 'amount' }, order: ['open', 'proposal', 'won'] }, 'EUR');
    expect(funnel?.parts.map(({ name, value }) => [name, digits(value)])).toEqual([['open', '0'], ['proposal', '4'], ['won', '1']]);
  });

  it('are measured by a target, fixed or of a column', () => {
    const budgets = held(
      [{ name: 'spent', type: 'decimal' }, { name: 'budget', type: 'decimal' }], [['30.0000', '50.0000'], ['12.0000', '50.0000']],
    );
    const widget = (target: { value: string } | { column: string }): Widget => ({
      id: 'g', title: 'Spent', at: { x: 0, y: 0, w: 3, h: 4 }, source: { view: 'budget_variance' },
      show: { kind: 'gauge', value: { column: 'spent' }, target }, thresholds: [{ is: 'above', value: '40', tone: 'warning' }],
    });
    const drawing = drawingOf(widget({ column: 'budget' }), budgets, around);
    expect(drawing?.table.lines[0]?.cells.map(({ text }) => text)).toEqual(['42.00', '100.00', '42.0%']);
    expect(drawing && summary('Spent', drawing.table)).toContain('Reached 42.00 (warning)');
    expect(drawingOf(widget({ value: '84' }), budgets, around)?.table.lines[0]?.cells[2]?.text).toBe('50.0%');
    expect(drawingOf(widget({ value: '0' }), budgets, around)?.empty).toMatch(/no target/);
  });

  it('come to nothing without rows, and a mean to nothing at all', () => {
    const none = held(AGING, []);
    const of = (how: 'sum' | 'avg') => figuresOf(none, { kind: 'kpi', value: { column: 'total', how } }, 'GBP')[0];
    expect(amountText(of('sum')?.value ?? null, of('sum')?.reading ?? { kind: 'money', currency: null })).toBe('0.00 GBP');
    expect(of('avg')?.value).toBeNull();
  });

  it('have a course along a column', () => {
    const hours = held(
      [{ name: 'week', type: 'date' }, { name: 'hours', type: 'decimal' }],
      [['2026-03-09', '4.0000'], ['2026-03-02', '1.0000'], ['2026-03-09', '2.0000']],
    );
    expect(courseOf(hours, { kind: 'kpi', value: { column: 'hours' } }, 'week', null).map(digits)).toEqual(['1', '6']);
    expect(coursePath([1, 6], 100, 20)).toBe('M0.0 20.0L100.0 0.0');
    expect(coursePath([3, 3], 100, 20)).toBe('M0.0 10.0L100.0 10.0');
    expect(coursePath([3], 100, 20)).toBe('');
  });
});

describe('a calendar', () => {
  const days = (list: string[]) => [{
    currency: null, reading: { kind: 'count' as const, currency: null }, days: list.map((day) => ({ day, value: 1n, pick: null })),
  }];

  it('shows whole weeks, all that fit', () => {
    expect(spanOf(days(['2026-03-04', '2026-03-17']), '2026-03-31', 20)).toEqual({ from: '2026-03-02', to: '2026-03-22', isCut: false });
    expect(spanOf(days([]), '2026-03-31', 20)).toBeNull();
  });

  it('leaves out what is farthest from today', () => {
    const year = days(['2025-04-02', '2026-12-30']);
    expect(spanOf(year, '2026-03-31', 10)).toEqual({ from: '2026-03-02', to: '2026-05-10', isCut: true });
    expect(spanOf(days(['2024-01-02', '2025-01-02']), '2026-03-31', 2)).toEqual({ from: '2024-12-23', to: '2025-01-05', isCut: true });
    expect(spanOf(year, '2025-04-03', 10)?.from).toBe('2025-03-31');
  });

  it('puts instants on the days of the firm’s clock', () => {
    const failures = held([{ name: 'failed_at', type: 'timestamp' }], [['2026-03-30T23:30:00Z'], ['2026-03-31T10:00:00Z'], [null]]);
    const [calendar] = calendarsOf(failures, { kind: 'calendar', day: 'failed_at', value: { how: 'count' } }, 'GBP', 'Europe/London');
    expect(calendar?.days.map(({ day, value }) => [day, digits(value)])).toEqual([['2026-03-31', '2']]);
  });
});

describe('what is followed', () => {
  const filters: Filter[] = [
    { id: 'customer', title: 'Customer', column: 'customer_id', type: 'text' },
    { id: 'from', title: 'From', type: 'date', default: '{{this_month.start}}' },
    { id: 'least', title: 'At least', type: 'decimal' },
  ];
  const view: KnownView = { name: 'ar_aging', columns: AGING, own: false };

  it('is a view, narrowed where it has the filter’s column', () => {
    const source = { view: 'ar_aging', where: { currency: 'EUR' } };
    expect(wanted(source, view, filters, { customer: 'C1' })).toEqual({
      target: { view: 'ar_aging', where: { currency: 'EUR', customer_id: 'C1' } }, isNothing: false,
    });
    expect(wanted({ view: 'headcount' }, { ...view, columns: [] }, filters, { customer: 'C1' }).target).toEqual({ view: 'headcount' });
    expect(wanted({ view: 'ar_aging', where: { customer_id: 'C2' } }, view, filters, { customer: 'C1' }).isNothing).toBe(true);
    // Of a view that is not known nobody sees more than the filters let through.
    expect(wanted({ view: 'new_one' }, undefined, filters, { customer: 'C1' }).target).toEqual({ view: 'new_one', where: { customer_id: 'C1' } });
    expect(narrows(filters, { customer: null, from: '2026-03-01' })).toBe(false);
    expect(narrows(filters, { customer: 'C1' })).toBe(true);
  });

  it('is SQL with its values written into it', () => {
    const sql = "SELECT '$1', \"$1\" -- $1\nFROM t WHERE a = $1 AND b > $2 AND c = $3 AND d = $4";
    const source = {
      sql, params: [{ filter: 'customer' }, { filter: 'from' }, { filter: 'least' }, { value: true }],
    };
    const told = read(filters, { customer: "O'Hara", from: '{{this_month.start}}', least: '-2.50' }, on('2026-03-31'));
    expect(wanted(source, undefined, filters, told).target).toEqual({
      sql: "SELECT '$1', \"$1\" -- $1\nFROM t WHERE a = 'O''Hara' AND b > DATE '2026-03-01' AND c = (-2.50) AND d = TRUE",
    });
    expect(literal(null)).toBe('NULL');
    expect(literal(-3)).toBe('(-3)');
    expect(literal("'; DROP")).toBe("'''; DROP'");
    expect(withParameters('SELECT $2', ['a'])).toBe('SELECT $2');
    const unset = wanted(source, undefined, filters, { customer: null }).target;
    expect('sql' in unset && unset.sql).toContain('a = NULL AND b > NULL AND c = NULL');
    // What is no number cannot become part of the SQL.
    const crafted = wanted(source, undefined, filters, { least: '1) OR (1=1' }).target;
    expect('sql' in crafted && crafted.sql).toContain('c = NULL');
  });

  it('has values in the address, but for those that are as by default', () => {
    expect(valuesOf(filters, {})).toEqual({ customer: null, from: '{{this_month.start}}', least: null });
    const values = valuesOf(filters, { 'f.customer': 'C7', 'f.from': '', 'f.least': 'x' });
    expect(values).toEqual({ customer: 'C7', from: null, least: null });
    expect(addressOf(filters, values)).toEqual({ 'f.customer': 'C7', 'f.from': '' });
    const number: Filter = { id: 'n', title: 'N', type: 'int' };
    expect(readValue(number, ' 12 ')).toBe(12);
    expect(isValue(number, '1.5')).toBe(false);
    expect(readValue({ id: 'b', title: 'B', type: 'bool' }, 'false')).toBe(false);
  });

  it('reads words for dates', () => {
    const days = {
      '{{today}}': '2026-03-31', '{{ today - 31 }}': '2026-02-28', '{{tomorrow}}': '2026-04-01', '{{last_month.start}}': '2026-02-01',
      '{{last_month.end}}': '2026-02-28', '{{this_week.start}}': '2026-03-30', '{{next_quarter.start}}': '2026-04-01',
      '{{this_quarter.end}}': '2026-03-31', '{{last_year.next}}': '2026-01-01', '2026-05-05': '2026-05-05',
    };
    for (const [words, day] of Object.entries(days)) expect(dayOf(words, '2026-03-31'), words).toBe(day);
    expect(dayOf('{{last_month}}', '2026-03-31')).toBeNull();
    expect(dayOf('{{today}}', '')).toBeNull();
  });

  it('reads them where the firm is, and not before the day is known', () => {
    const since: Filter = { id: 'since', title: 'Since', type: 'timestamp', column: 'failed_at' };
    const at = (timezone: string) => read([since], { since: '{{today}}' }, on('2026-03-29', timezone))['since'];
    expect([at('UTC'), at('America/New_York'), at('Europe/London'), at('Asia/Kolkata'), at('Nowhere/Land')]).toEqual([
      '2026-03-29T00:00:00Z', '2026-03-29T04:00:00Z', '2026-03-29T00:00:00Z', '2026-03-28T18:30:00Z', '2026-03-29T00:00:00Z',
    ]);
    expect(read([since], { since: '2026-03-29T00:00:00Z' }, on('', 'Asia/Kolkata'))).toEqual({ since: '2026-03-29T00:00:00Z' });
    expect([needsDay([since], { since: '{{today}}' }), needsDay([since], { since: null }), needsDay([], { since: '{{today}}' })])
      .toEqual([true, false, false]);
  });

  it('takes words for days where days are meant, and keeps them as they are', () => {
    const date: Filter = { id: 'd', title: 'D', type: 'date' };
    expect([readValue(date, ' {{ today - 7 }} '), readValue(date, '{{today'), readValue(date, '{{today + 123456}}')])
      .toEqual(['{{ today - 7 }}', null, null]);
    expect(isValue({ id: 'n', title: 'N', type: 'int' }, '{{today}}')).toBe(false);
    expect(isValue({ id: 't', title: 'T', type: 'text' }, '{{anything')).toBe(true);
  });

  it('reads the words that the service takes, and no others', () => {
    const filter = (type: 'date' | 'timestamp'): Filter => ({ id: 'd', title: 'D', type });
    for (const [text, day] of Object.entries(dateWords.days)) {
      expect(dayOf(text, dateWords.today), text).toBe(day);
      expect([isValue(filter('date'), text), isValue(filter('timestamp'), text)], text).toEqual([true, true]);
    }
    for (const text of dateWords.none) {
      expect(dayOf(text, dateWords.today), text).toBeNull();
      expect(isValue(filter('date'), text), text).toBe(false);
    }
  });
});

describe('numbers as they are read', () => {
  it('have the places of their currency', () => {
    expect([placesOf('EUR'), placesOf('JPY'), placesOf('KWD'), placesOf(null), placesOf('euros')]).toEqual([2, 0, 3, null, null]);
    expect(amountText(exact('-1234.5'), { kind: 'money', currency: 'EUR' })).toBe('−1,234.50 EUR');
    expect(amountText(exact('1234.5'), { kind: 'money', currency: 'JPY' })).toBe('1,235 JPY');
    expect(numberText(exact('0.8125'), { kind: 'percent', currency: null })).toBe('81.3%');
    expect(numberText(null, { kind: 'count', currency: null })).toBe('–');
    expect([axisText(1_250_000, 'money'), axisText(0.5, 'percent'), axisText(12.5, 'hours')]).toEqual(['1.25m', '50%', '12.5']);
    expect([titleOf({ column: 'hours', how: 'avg' }), titleOf({ how: 'count' }), titleOf({ column: 'x', title: 'Y' })])
      .toEqual(['Hours (mean)', 'Number', 'Y']);
  });

  it('have the tone of the first threshold that holds', () => {
    const bounds = [{ is: 'above', value: '100', tone: 'critical' }, { is: 'at_least', value: '100.0', tone: 'warning' }] as const;
    expect([exact('100.0001'), exact('100'), exact('99.9999')].map((value) => toneOf(value, bounds))).toEqual(['critical', 'warning', null]);
    expect(toneOf(exact('-1'), [{ is: 'below', value: '0', tone: 'critical' }])).toBe('critical');
    expect(toneOf(exact('0'), [{ is: 'at_most', value: '0', tone: 'good' }])).toBe('good');
    expect(toneOf(null, bounds)).toBeNull();
    expect(thresholdsOf('a', [{ column: 'b', is: 'above', value: '1', tone: 'good' }])).toEqual([]);
    expect(worst([null, 'good', 'critical', 'warning'])).toBe('critical');
  });
});

describe('a table', () => {
  it('has its columns in its order, and the first rows', () => {
    const shown = shownRows(OWED, { kind: 'table', columns: ['total', 'customer_id'], sort: { column: 'total', descending: true }, limit: 2 });
    expect(shown.columns.map(({ name, at, isNumber }) => [name, at, isNumber])).toEqual([['total', 4, true], ['customer_id', 0, false]]);
    expect(shown.rows.map((row) => row[4])).toEqual(['20.0000', '15.0001']);
    expect(shown.all).toBe(4);
    const byCurrency = shownRows(OWED, { kind: 'table', columns: ['currency'], sort: { column: 'currency', descending: true } });
    expect(byCurrency.rows.map((row) => row[1])).toEqual(['GBP', 'EUR', 'EUR', null]);
  });

  it('becomes a file that no spreadsheet computes', () => {
    const columns = [{ name: '=cmd', type: 'text' }, { name: 'n', type: 'decimal' }];
    const rows: Row[] = [['=1+1', '-1.5000'], ['a "b", c', null], ['', '2.0000'], ['\tx', '1']];
    expect(toCsv(columns, rows)).toBe("'=cmd,n\r\n'=1+1,-1.5000\r\n\"a \"\"b\"\", c\",\r\n\"\",2.0000\r\n'\tx,1\r\n");
    expect(toCsv([{ name: 'n', type: 'int' }], [[null]])).toBe('n\r\n""\r\n');
  });
});

describe('places', () => {
  it('are cells of the grid and are read from the top', () => {
    expect(areaOf({ x: 3, y: 2, w: 4, h: 5 })).toBe('3 / 4 / span 5 / span 4');
    expect(heightOf(3)).toBe(3 * 52 + 2 * 12);
    const at = (id: string, x: number, y: number): Widget => ({ id, title: id, at: { x, y, w: 1, h: 1 }, show: { kind: 'text', text: id } });
    expect(inReadingOrder([at('c', 0, 4), at('b', 6, 0), at('a', 0, 0)]).map(({ id }) => id)).toEqual(['a', 'b', 'c']);
  });

  it('in turn go round', () => {
    expect([turned(2, 3, 1), turned(0, 3, -1), turned(0, 0, 1)]).toEqual([0, 2, 0]);
    expect([secondsOf(undefined), secondsOf('60'), secondsOf('1'), secondsOf('soon'), secondsOf('99999')]).toEqual([null, 60, 5, 30, 3600]);
  });

  it('of rows are in the address beside the filters', () => {
    const query = { 'f.customer': 'C7' };
    const open = withRows(query, 'late', { currency: null, days: 3 });
    expect(openedRows(open)).toEqual({ widget: 'late', pick: { currency: null, days: 3 } });
    expect(withoutRows(open)).toEqual(query);
    expect(openedRows(query)).toBeNull();
    const none = { target: { view: 'ar_aging', where: { customer_id: 'C1' } }, isNothing: true };
    expect(limitsOf(none, { currency: 'EUR' })).toEqual({ where: { customer_id: 'C1', currency: 'EUR' }, isNothing: true });
    expect(limitsOf({ target: { sql: 'SELECT 1' }, isNothing: false }, { a: 1 })).toEqual({ where: { a: 1 }, isNothing: false });
    expect(openedRows({ rows: 'late', pick: '{"a":' })?.pick).toEqual({});
    expect(openedRows({ rows: 'late', pick: '{"a":{"b":1},"c":"d"}' })?.pick).toEqual({ c: 'd' });
    expect(withFilters(open, { 'f.other': '1' })).toEqual({ rows: 'late', pick: open['pick'], 'f.other': '1' });
  });
});

describe('what is not shown', () => {
  it('is said with what to do', () => {
    const is = (type: string) => troubleOf({ type: `urn:tidemark:problem:${type}`, title: 'T', detail: 'D' }, { view: 'ar_aging' });
    expect([is('forbidden').isFailure, is('module-off').isPassing]).toEqual([false, false]);
    expect(is('unknown-view').title).toContain('ar_aging');
    expect(is('no-room')).toEqual({ title: 'T', way: 'D', isFailure: true, isPassing: true });
    expect(emptyWords({ view: 'ar_aging' }, false).join()).toContain('issued invoice');
    expect(emptyWords({ view: 'own_figures' }, false).join()).toContain('Own figures');
    expect(emptyWords({ view: 'ar_aging', where: { currency: 'EUR' } }, false).join()).toContain('of this kind');
    expect(emptyWords({ view: 'ar_aging' }, true)).toHaveLength(2);
  });
});

describe('the templates', () => {
  type Template = { dashboards: { id: string; document: DashboardDocument }[] };
  const files = import.meta.glob<Template>('../../../templates/*.json', { eager: true, import: 'default' });
  const documents = Object.entries(files).flatMap(([name, { dashboards }]) =>
    dashboards.map(({ id, document }) => ({ id: `${name} ${id}`, document })));

  it('have kinds that are drawn, and are the same when they are read again', () => {
    expect(documents.length).toBeGreaterThan(14);
    for (const { id, document } of documents) {
      for (const { show } of document.widgets) expect(KINDS, id).toContain(show.kind);
      expect(normalised(normalised(document)), id).toEqual(normalised(document));
    }
  });

  it('are drawn over rows of any numbers', () => {
    const drawn = new Set<Show['kind']>();
    for (const { id, document } of documents) {
      for (const widget of document.widgets) {
        const names = columnsOf(widget);
        const { show } = widget;
        const days = show.kind === 'calendar' ? [show.day] : [];
        const columns = names.map((name) => ({
          name, type: days.includes(name) ? 'date' : name === 'currency' ? 'text' : 'decimal',
        }));
        const row = (n: number) => columns.map(({ type, name }) => (type === 'date' ? '2026-03-0' + n : name === 'currency' ? 'EUR' : `${n}.0000`));
        const drawing = drawingOf(widget, held(columns, [row(1), row(2)]), around);
        if (drawing === null) continue;
        drawn.add(show.kind);
        expect(drawing.table.lines.length, `${id} ${widget.id}`).toBeGreaterThan(0);
        expect(summary(widget.title, drawing.table)).toContain(widget.title);
      }
    }
    expect([...drawn].sort()).toEqual(['aging', 'area', 'bar', 'calendar', 'funnel', 'gauge', 'line', 'pie', 'stacked_bar']);
  });
});
