import { describe, expect, it } from 'vitest';
import type { Palette } from '../../src/charts/palette';
import type { CalendarShow, DashboardDocument, Show, TableShow, Widget } from '../../src/boards/document';
import { drawingOf, type Drawing } from '../../src/boards/drawing';
import type { Held } from '../../src/boards/held';
import { isOffered, mayMiss, showsOf } from '../../src/boards/offered';
import { cutNote, MOST_LINES as PICTURED } from '../../src/boards/picture';
import { kindOfMeasure } from '../../src/boards/reading';
import { cellTextOf, exactTextOf, listedRows, MOST_LINES, shownRows } from '../../src/boards/rows_table';
import { BUILT_IN } from '../../src/boards/trouble';
import type { Row } from '../../src/lib/protocol';
import { Columns } from '../../src/lib/rows';

const held = (columns: readonly { name: string; type: string }[], rows: Row[], own?: string): Held =>
  ({ columns: new Columns(columns), key: [], rows, own });
const around = { own: 'EUR', timezone: 'Europe/Berlin', today: '2026-03-31', still: true };
const palette: Palette = {
  ink: '#111111', ink2: '#222222', ink3: '#333333', line: '#cccccc', surface: '#ffffff', accent: '#0b6b75', bar: '#0b6b75',
  bar2: '#88aaaa', warn: '#aa6600', bad: '#aa0000', good: '#007700',
};
const widget = (show: Show): Widget => ({ id: 'w', title: 'W', at: { x: 0, y: 0, w: 6, h: 6 }, source: { view: 'pipeline' }, show });

interface Option {
  series: { id: string; data: { value: number }[] }[];
  tooltip: { formatter: (hit: object) => string };
}

function drawn(show: Show, rows: Held): { drawing: Drawing; option: Option } {
  const drawing = drawingOf(widget(show), rows, around);
  if (!drawing) throw new Error(show.kind);
  return { drawing, option: drawing.option(palette, false, 900) as unknown as Option };
}

const STAGES = [{ name: 'stage', type: 'text' }, { name: 'currency', type: 'text' }, { name: 'amount', type: 'decimal' }];
const TWO = held(STAGES, [['open', 'GBP', '7.0000'], ['open', 'EUR', '5.0000'], ['won', 'EUR', '2.0000'], ['won', 'GBP', '1.0000']]);

describe('what is pointed at in a chart', () => {
  // The library leaves a series at the place where it was first, so its place says nothing of which it is.
  it.each(['pie', 'funnel'] as const)('of a %s is found by the id of its series, with its own currency', (kind) => {
    const show: Show = kind === 'pie'
      ? { kind, by: 'stage', value: { column: 'amount' } } : { kind, by: 'stage', value: { column: 'amount' }, order: ['open', 'won'] };
    const { drawing, option } = drawn(show, TWO);
    const [eur, gbp] = option.series.map(({ id }) => id);
    expect(drawing.pickAt(eur ?? '', 0)).toEqual({ stage: 'open', currency: 'EUR' });
    expect(drawing.pickAt(gbp ?? '', 1)).toEqual({ stage: 'won', currency: 'GBP' });
    expect(drawing.pickAt('gone', 0)).toBeNull();
    expect(option.tooltip.formatter({ seriesId: eur, seriesIndex: 1, dataIndex: 0 })).toContain('5.00 EUR');
    expect(option.tooltip.formatter({ seriesId: gbp, seriesIndex: 0, dataIndex: 0 })).toContain('7.00 GBP');
    expect(option.tooltip.formatter({ seriesId: 'gone', seriesIndex: 0, dataIndex: 0 })).toBe('');
  });

  it('of bars, gauges and calendars is found so too', () => {
    const bars = drawn({ kind: 'bar', by: 'stage', values: [{ column: 'amount' }] }, TWO);
    expect(bars.option.series.map(({ id }) => bars.drawing.pickAt(id, 1))).toEqual([
      { stage: 'won', currency: 'EUR' }, { stage: 'won', currency: 'GBP' },
    ]);
    const gauges = drawn({ kind: 'gauge', value: { column: 'amount' }, target: { value: '10' } }, TWO);
    expect(gauges.option.series.map(({ id }) => gauges.drawing.pickAt(id, 0))).toEqual([{ currency: 'EUR' }, { currency: 'GBP' }]);
    const days = held(
      [{ name: 'day', type: 'date' }, { name: 'currency', type: 'text' }, { name: 'amount', type: 'decimal' }],
      [['2026-03-02', 'GBP', '1.0000'], ['2026-03-03', 'EUR', '2.0000']],
    );
    const calendars = drawn({ kind: 'calendar', day: 'day', value: { column: 'amount' } }, days);
    const [first, second] = calendars.option.series.map(({ id }) => id);
    expect(calendars.drawing.pickAt(second ?? '', 0)).toEqual({ day: '2026-03-02', currency: 'GBP' });
    expect(calendars.option.tooltip.formatter({ seriesId: first, seriesIndex: 1, dataIndex: 0 })).toContain('2.00 EUR');
  });
});

describe('more currencies than stand side by side', () => {
  const NAMES = ['EUR', 'GBP', 'USD', 'CHF', 'SEK', 'NOK'];
  const rows = held(
    [{ name: 'day', type: 'date' }, { name: 'currency', type: 'text' }, { name: 'amount', type: 'decimal' }],
    NAMES.map((currency, i) => ['2026-03-02', currency, `${i + 1}.0000`]),
  );
  const calendar: CalendarShow = { kind: 'calendar', day: 'day', value: { column: 'amount' } };
  it.each([
    ['gauge', { kind: 'gauge', value: { column: 'amount' }, target: { value: '10' } }], ['calendar', calendar],
    ['pie', { kind: 'pie', by: 'day', value: { column: 'amount' } }],
  ] as [string, Show][])('are said to be left out of a %s, and are in its table', (_, show) => {
    const { drawing, option } = drawn(show, rows);
    expect(option.series).toHaveLength(4);
    expect(drawing.note(900)).toMatch(/^2 more currencies are not drawn/);
    expect(drawing.table.lines).toHaveLength(6);
  });
});

describe('amounts in a table', () => {
  const columns = [
    { name: 'currency', type: 'text' }, { name: 'balance', type: 'decimal' }, { name: 'hours', type: 'decimal' },
    { name: 'quantity', type: 'decimal' }, { name: 'at', type: 'timestamp' },
  ];
  const show: TableShow = { kind: 'table', columns: ['balance', 'hours', 'quantity', 'at'] };
  const at = '2026-03-01T23:30:00Z';
  const read = (rows: Held, of: TableShow = show) => {
    const shown = shownRows(rows, of);
    return shown.rows.map((row) => shown.columns.map((column) => cellTextOf(shown, row, column, 'Europe/Berlin')));
  };

  it('have the places of the currency of their row, and hours and quantities their own', () => {
    expect(read(held(columns, [
      ['KWD', '1.2340', '0.2500', '1.2345', at], ['JPY', '1000.0000', '8.0000', '3.0000', null],
      ['EUR', '1234.5678', '7.5000', '0.5000', null], [null, '0.0042', null, null, null],
    ]))).toEqual([
      ['1.234', '0.25', '1.2345', '2 Mar 2026, 00:30'], ['1,000', '8.0', '3', '–'], ['1,234.57', '7.5', '0.5', '–'],
      ['0.0042', '–', '–', '–'],
    ]);
  });

  it('have all places that say something where nobody knows the currency, and the firm’s in the service’s own views', () => {
    const rows: Row[] = [['12.5000'], ['0.0042'], ['1.23456']];
    const value = [{ name: 'value', type: 'decimal' }];
    const table: TableShow = { kind: 'table', columns: ['value'] };
    expect(read(held(value, rows), table)).toEqual([['12.50'], ['0.0042'], ['1.2346']]);
    expect(read(held(value, [['1000.0000']], 'JPY'), table)).toEqual([['1,000']]);
  });

  it('say all their places beside what they leave out', () => {
    const shown = shownRows(held(columns, [['EUR', '1234.5678', '8.0000', null, at]]), show);
    const [row = []] = shown.rows;
    expect(shown.columns.map((column) => exactTextOf(shown, row, column))).toEqual(['1,234.5678', undefined, undefined, undefined]);
  });

  it('read as the widget says', () => {
    const formats = { balance: 'quantity', quantity: 'percent' } as const;
    expect(read(held(columns, [['EUR', '1.2345', '1.0000', '0.5000', null]]), { ...show, formats })).toEqual([['1.2345', '1.0', '50.0%', '–']]);
    expect(kindOfMeasure({ column: 'balance', format: 'hours' }, new Columns(columns))).toBe('hours');
    expect(kindOfMeasure({ how: 'count' }, new Columns(columns))).toBe('count');
  });
});

describe('what is not shown of a table', () => {
  const many = held([{ name: 'n', type: 'int' }], Array.from({ length: 620 }, (_, n) => [n]));

  it('is in its file, up to the limit of the widget', () => {
    const show: TableShow = { kind: 'table', columns: ['n'], sort: { column: 'n', descending: true } };
    expect([shownRows(many, show).rows.length, listedRows(many, show).rows.length]).toEqual([MOST_LINES, 620]);
    expect(listedRows(many, show).rows[0]).toEqual([619]);
    expect(listedRows(many, { ...show, limit: 3 }).rows).toEqual([[619], [618], [617]]);
  });

  it('is counted beneath its picture', () => {
    expect(cutNote(PICTURED, PICTURED)).toBeNull();
    expect(cutNote(500, 1620)).toBe('60 of 1,620 rows.');
    expect(cutNote(12, 40)).toBe('12 of 40 rows.');
  });
});

describe('the dashboards that are offered', () => {
  const document = (...sources: ({ view: string } | { sql: string } | undefined)[]): DashboardDocument => ({
    schema: 1, filters: [], widgets: sources.map((source, i) => ({
      id: `w${i}`, title: 'W', at: { x: 0, y: i, w: 1, h: 1 }, show: { kind: 'text', text: '!' }, ...(source ? { source } : {}),
    })),
  });
  const all = new Set(BUILT_IN);
  const executive = { views: all, analyses: false };
  const analyst = { views: all, analyses: true };
  const offered = (of: DashboardDocument, reader: { views: ReadonlySet<string>; analyses: boolean }) => isOffered(showsOf(of), reader);

  it('show something to whoever reads them', () => {
    expect([offered(document({ sql: 'SELECT 1' }), executive), offered(document({ sql: 'SELECT 1' }), analyst)]).toEqual([false, true]);
    expect(offered(document({ sql: 'SELECT 1' }, { view: 'ar_aging' }), executive)).toBe(true);
    expect([offered(document(), executive), offered(document(undefined), executive)]).toEqual([true, true]);
  });

  it('are not those of modules that are off', () => {
    const without = new Set(BUILT_IN.filter((view) => view !== 'pipeline'));
    expect(offered(document({ view: 'pipeline' }), { views: without, analyses: true })).toBe(false);
    expect(offered(document({ view: 'pipeline' }, { view: 'ar_aging' }), { views: without, analyses: false })).toBe(true);
    // Whoever may change it finds one whose own view is gone.
    expect([offered(document({ view: 'own' }), analyst), offered(document({ view: 'own' }), executive)]).toEqual([true, false]);
    expect([mayMiss(analyst), mayMiss(executive), mayMiss({ views: without, analyses: true })]).toEqual([false, true, true]);
  });
});
