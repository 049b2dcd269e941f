import { describe, expect, it } from 'vitest';
import { COLUMNS, MOST_ROWS, type DashboardDocument, type Place, type Show, type Widget } from '../../src/boards/document';
import {
  EMPTY, freeId, put, shifted, widgetId, withCopy, withFilters, withNew, withoutWidget, withWidget, type Draft,
} from '../../src/boards/edit/change';
import { isStanding, openIn, openInWidget, refusalOf, widgetField, wrongAt } from '../../src/boards/edit/checks';
import { changes, compared, same } from '../../src/boards/edit/compare';
import { forget, keep, recall } from '../../src/boards/edit/kept';
import { showOf, withFormats, withKind, withSource } from '../../src/boards/edit/kinds';
import {
  beneath, grown, moved, overlap, resized, risen, roomFor, stepped, type Lying,
} from '../../src/boards/edit/layout';
import { begun, done, MOST_STEPS, redone, rested, undone, type History } from '../../src/boards/edit/undo';
import { defaultOf, kindOfValue, valueOf } from '../../src/boards/edit/values';

/** Numbers that look random and are the same each time. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const at = (x: number, y: number, w: number, h: number): Place => ({ x, y, w, h });
const lying = (...places: [string, Place][]): Lying[] => places.map(([id, place]) => ({ id, at: place }));
const placeOf = (widgets: readonly Lying[], id: string) => widgets.find((widget) => widget.id === id)?.at;

function expectSound(widgets: readonly Lying[]): void {
  for (const { at: { x, y, w, h } } of widgets) {
    expect(x).toBeGreaterThanOrEqual(0);
    expect(y).toBeGreaterThanOrEqual(0);
    expect(w).toBeGreaterThanOrEqual(1);
    expect(x + w).toBeLessThanOrEqual(COLUMNS);
    expect(h).toBeGreaterThanOrEqual(1);
    expect(h).toBeLessThanOrEqual(MOST_ROWS);
    expect(y).toBeLessThanOrEqual(4_999);
  }
  const pairs = widgets.flatMap((a, i) => widgets.slice(i + 1).map((b) => [a, b] as const));
  expect(pairs.filter(([a, b]) => overlap(a.at, b.at)).map(([a, b]) => [a.id, b.id])).toEqual([]);
}

describe('the layout', () => {
  const row = lying(['a', at(0, 0, 4, 3)], ['b', at(4, 0, 4, 3)], ['c', at(0, 3, 8, 2)]);

  it('moves what is in the way down, and lets it rise again', () => {
    const onto = moved(row, 'a', { x: 4, y: 0 });
    expect(placeOf(onto, 'a')).toEqual(at(4, 0, 4, 3));
    expect(placeOf(onto, 'b')).toEqual(at(4, 3, 4, 3));
    expect(placeOf(onto, 'c')).toEqual(at(0, 6, 8, 2));
    // On the other side of it there is room for both.
    expect(placeOf(moved(onto, 'a', { x: 8, y: 0 }), 'b')).toEqual(at(4, 0, 4, 3));
    expect(onto.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
  });

  it('leaves those alone that stay where they are', () => {
    const onto = moved(row, 'c', { x: 4, y: 3 });
    expect(onto[0]).toBe(row[0]);
    expect(onto[1]).toBe(row[1]);
  });

  it('passes what it was moved across, up and down', () => {
    const pile = lying(['a', at(0, 0, 6, 3)], ['b', at(0, 3, 6, 3)]);
    expect(placeOf(moved(pile, 'a', { x: 0, y: 1 }), 'a')).toEqual(at(0, 0, 6, 3));
    expect(placeOf(moved(pile, 'a', { x: 0, y: 2 }), 'a')).toEqual(at(0, 3, 6, 3));
    expect(placeOf(moved(pile, 'b', { x: 0, y: 2 }), 'b')).toEqual(at(0, 3, 6, 3));
    expect(placeOf(moved(pile, 'b', { x: 0, y: 1 }), 'b')).toEqual(at(0, 0, 6, 3));
  });

  it('goes one step by keys, and says where there is none', () => {
    const pile = lying(['a', at(0, 0, 6, 3)], ['b', at(0, 3, 6, 3)]);
    const down = stepped(pile, 'a', 0, 1) ?? [];
    expect(placeOf(down, 'a')).toEqual(at(0, 3, 6, 3));
    expect(placeOf(stepped(down, 'a', 0, -1) ?? [], 'a')).toEqual(at(0, 0, 6, 3));
    expect(stepped(pile, 'a', 0, -1)).toBeNull();
    expect(stepped(pile, 'b', 0, 1)).toBeNull();
    expect(stepped(pile, 'a', -1, 0)).toBeNull();
    expect(placeOf(stepped(pile, 'a', 1, 0) ?? [], 'a')).toEqual(at(1, 0, 6, 3));
    expect(stepped(pile, 'nobody', 1, 0)).toBeNull();
  });

  it('makes larger within the grid, and pushes what is beneath', () => {
    expect(placeOf(resized(row, 'b', { w: 100, h: 100 }), 'b')).toEqual(at(4, 0, 8, 24));
    const tall = grown(row, 'a', 0, 1) ?? [];
    expect(placeOf(tall, 'a')).toEqual(at(0, 0, 4, 4));
    expect(placeOf(tall, 'c')).toEqual(at(0, 4, 8, 2));
    const wide = grown(row, 'a', 1, 0) ?? [];
    expect(placeOf(wide, 'b')).toEqual(at(4, 3, 4, 3));
    expect(grown(lying(['a', at(0, 0, 12, 1)]), 'a', 1, 0)).toBeNull();
    expect(grown(lying(['a', at(0, 0, 1, 1)]), 'a', 0, -1)).toBeNull();
  });

  it('finds the first room', () => {
    expect(roomFor([], { w: 3, h: 3 })).toEqual(at(0, 0, 3, 3));
    expect(roomFor(row, { w: 4, h: 5 })).toEqual(at(8, 0, 4, 5));
    expect(roomFor(row, { w: 6, h: 1 })).toEqual(at(0, 5, 6, 1));
    expect(roomFor([{ id: 'deep', at: at(0, 4_999, 12, 24) }], { w: 12, h: 24 })).toEqual(at(0, 0, 12, 24));
  });

  it('closes gaps', () => {
    expect(risen(lying(['a', at(0, 40, 4, 2)], ['b', at(0, 4_999, 4, 2)])).map((widget) => widget.at.y)).toEqual([0, 2]);
  });

  it('never puts one on another or beyond the grid, whatever is done', () => {
    for (let seed = 1; seed <= 25; seed += 1) {
      const random = numbers(seed);
      let widgets: Lying[] = [];
      for (let step = 0; step < 60; step += 1) {
        const id = widgets[random(widgets.length)]?.id ?? '';
        const ids = widgets.map((widget) => widget.id);
        switch (random(7)) {
          case 0: case 1:
            widgets = [...widgets, { id: `w${step}`, at: roomFor(widgets, { w: 1 + random(14), h: random(30) }) }];
            break;
          case 2: widgets = moved(widgets, id, { x: random(20) - 4, y: random(80) - 10 }); break;
          case 3: widgets = resized(widgets, id, { w: random(16) - 1, h: random(30) - 1 }); break;
          case 4: widgets = stepped(widgets, id, 0, random(2) * 2 - 1) ?? widgets; break;
          case 5: widgets = stepped(widgets, id, random(2) * 2 - 1, 0) ?? widgets; break;
          default: widgets = grown(widgets, id, random(3) - 1, random(3) - 1) ?? widgets;
        }
        expectSound(widgets);
        // Nothing is lost, and all keep their order in the list.
        expect(widgets.map((widget) => widget.id).slice(0, ids.length)).toEqual(ids);
      }
      expect(risen(risen(widgets))).toEqual(risen(widgets));
      const without = risen(widgets.slice(1));
      expectSound(without);
      expect(beneath(without)).toBeLessThanOrEqual(without.reduce((sum, widget) => sum + widget.at.h, 0));
    }
  });

  it('comes to the same from the same steps', () => {
    const run = () => {
      const random = numbers(7);
      let widgets: Lying[] = Array.from({ length: 12 }, (_, i) => ({ id: `w${i}`, at: at((i * 3) % 12, Math.floor(i / 4) * 2, 3, 2) }));
      for (let step = 0; step < 80; step += 1) widgets = moved(widgets, `w${random(12)}`, { x: random(12), y: random(12) });
      return widgets;
    };
    expect(run()).toEqual(run());
  });
});

describe('undo', () => {
  it('is the inverse of what was done, and redo of undo', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const random = numbers(seed);
      let history: History<number> = begun(0);
      let next = 0;
      for (let step = 0; step < 120; step += 1) {
        const before = history;
        if (random(3) > 0) {
          next += 1;
          history = done(history, next, random(2) === 0 ? null : 'title');
          if (history.past.length > before.past.length) expect(undone(history).present).toBe(before.present);
          expect(history.future).toEqual([]);
        } else if (random(2) === 0) {
          history = undone(history);
          if (before.past.length > 0) expect(redone(history).present).toBe(before.present);
        } else {
          history = redone(history);
          if (before.future.length > 0) expect(undone(history).present).toBe(before.present);
        }
        expect(history.past.length).toBeLessThanOrEqual(MOST_STEPS);
      }
    }
  });

  it('takes letters of the same field for one step, until it rests', () => {
    let history = begun('');
    for (const text of ['a', 'ab', 'abc']) history = done(history, text, 'title');
    history = done(rested(history), 'abcd', 'title');
    expect(history.past).toEqual(['', 'abc']);
    history = done(history, 'x', 'about');
    expect(undone(undone(history)).present).toBe('abc');
    // After a step back a letter begins a step of its own.
    expect(done(undone(history), 'abce', 'about').past).toEqual(['', 'abc', 'abcd']);
  });

  it('forgets the oldest, and knows no step that changes nothing', () => {
    let history = begun(0);
    for (let n = 1; n <= MOST_STEPS + 5; n += 1) history = done(history, n);
    expect(history.past).toHaveLength(MOST_STEPS);
    expect(history.past[0]).toBe(5);
    expect(done(history, history.present)).toBe(history);
    expect(undone(begun(1)).present).toBe(1);
    expect(redone(begun(1)).present).toBe(1);
  });
});

const COLUMNS_OF_AGING = [
  { name: 'customer_id', type: 'text' }, { name: 'currency', type: 'text' }, { name: 'current', type: 'decimal' },
  { name: 'd1_30', type: 'decimal' }, { name: 'd90_plus', type: 'decimal' }, { name: 'total', type: 'decimal' },
];

function kpi(id: string, place: Place, part: Partial<Widget> = {}): Widget {
  return {
    id, title: `Widget ${id}`, at: place, source: { view: 'ar_aging' },
    show: { kind: 'kpi', value: { column: 'total' }, currency: 'currency' }, ...part,
  };
}

const BOARD: DashboardDocument = {
  schema: 1,
  filters: [{ id: 'customer', title: 'Customer', column: 'customer_id', type: 'text' }],
  widgets: [
    kpi('a', at(0, 0, 4, 3)), kpi('b', at(4, 0, 4, 3)),
    kpi('q', at(0, 3, 6, 4), { source: { sql: 'SELECT $1, $2', params: [{ filter: 'customer' }, { value: 30 }] } }),
  ],
};
const DRAFT: Draft = { name: 'Debts', document: BOARD };

describe('changes of a dashboard', () => {
  it('adds where there is room, copies under another name, and takes away', () => {
    const added = withNew(BOARD, { id: 'new', title: 'New', show: { kind: 'text', text: 'Words' } }, { w: 4, h: 2 });
    expect(placeOf(added.widgets, 'new')).toEqual(at(8, 0, 4, 2));
    const copy = withCopy(BOARD, kpi('a', at(0, 0, 4, 3)), 'a-2').widgets.at(-1);
    expect(copy).toMatchObject({ id: 'a-2', title: 'Widget a (copy)', at: at(8, 0, 4, 3) });
    const less = withoutWidget(BOARD, 'a');
    expect(less.widgets.map(({ id }) => id)).toEqual(['b', 'q']);
    expectSound(less.widgets);
  });

  it('leaves out what has no value', () => {
    expect(put({ a: 1, b: 2 } as { a?: number; b: number }, 'a', undefined)).toEqual({ b: 2 });
    expect(shifted(['a', 'b', 'c'], 1, -1)).toEqual(['b', 'a', 'c']);
    expect(shifted(['a', 'b'], 1, 1)).toEqual(['a', 'b']);
  });

  it('leaves no parameter that asks for a filter which is no more', () => {
    const { widgets } = withFilters(BOARD, []);
    expect(widgets[2]?.source).toEqual({ sql: 'SELECT $1, $2', params: [{ value: null }, { value: 30 }] });
    expect(widgets[0]).toBe(BOARD.widgets[0]);
  });

  it('gives ids that the service takes', () => {
    expect(freeId('Customer', ['customer'])).toBe('customer-2');
    expect(freeId('Über alles!', [])).toBe('ber-alles');
    expect(freeId('…', [])).toBe('x');
    expect(widgetId(BOARD, 'stacked_bar', () => 0.5)).toMatch(/^stacked-bar-[a-z0-9]{4}$/);
    expect(widgetId({ ...EMPTY, widgets: [kpi('kpi-i000', at(0, 0, 1, 1))] }, 'kpi', () => 0.5)).toBe('kpi-i000-2');
  });
});

describe('kinds of widgets', () => {
  it('begins with the columns that fit', () => {
    expect(showOf('kpi', COLUMNS_OF_AGING)).toEqual({ kind: 'kpi', value: { column: 'current' }, currency: 'currency' });
    expect(showOf('bar', COLUMNS_OF_AGING)).toMatchObject({ by: 'customer_id', values: [{ column: 'current' }] });
    expect(showOf('aging', COLUMNS_OF_AGING)).toMatchObject({ buckets: ['current', 'd1_30', 'd90_plus'] });
    expect(showOf('pie', [{ name: 'stage', type: 'text' }])).toEqual({ kind: 'pie', by: 'stage', value: { how: 'count' } });
    expect(showOf('calendar', [{ name: 'day', type: 'date' }, { name: 'hours', type: 'decimal' }])).toMatchObject({ day: 'day' });
  });

  it('keeps what fits when one becomes of another kind', () => {
    const bar: Show = {
      kind: 'bar', by: 'customer_id', values: [{ column: 'total', title: 'Owed' }], sort: { column: 'total', descending: true }, limit: 5,
    };
    const widget = kpi('a', at(0, 0, 4, 3), { show: bar, thresholds: [{ is: 'above', value: '1', tone: 'critical' }] });
    expect(withKind(widget, 'pie', COLUMNS_OF_AGING, { view: 'ar_aging' }).show).toEqual({
      kind: 'pie', by: 'customer_id', value: { column: 'total', title: 'Owed' }, limit: 5,
    });
    const table = withKind(widget, 'table', COLUMNS_OF_AGING, { view: 'ar_aging' });
    expect(table.show).toMatchObject({ columns: COLUMNS_OF_AGING.map(({ name }) => name), limit: 5 });
    expect(table.thresholds).toEqual([{ is: 'above', value: '1', tone: 'critical', column: 'current' }]);
    const text = withKind(widget, 'text', [], { view: 'ar_aging' });
    expect(Object.keys(text)).not.toContain('source');
    expect(Object.keys(text)).not.toContain('thresholds');
    expect(withKind(text, 'kpi', COLUMNS_OF_AGING, { view: 'ar_aging' }).source).toEqual({ view: 'ar_aging' });
  });

  it('leaves no column that the other rows have not, and adds no currencies', () => {
    const other = [{ name: 'department', type: 'text' }, { name: 'active', type: 'int' }];
    const widget = withSource(kpi('a', at(0, 0, 4, 3)), { view: 'headcount' }, other);
    expect(widget.show).toEqual({ kind: 'kpi', value: { column: 'active' } });
    const back = withSource(widget, { view: 'ar_aging' }, COLUMNS_OF_AGING);
    expect(back.show).toEqual({ kind: 'kpi', value: { column: 'current' }, currency: 'currency' });
  });
});

describe('what is wrong', () => {
  it.each([
    ['title', 'title'], ['at', ''], ['at.w', ''], ['source', 'source'], ['source.view', 'source.view'],
    ['source.params[1].value', 'source.params[1]'], ['source.params', 'source.params'], ['source.where.currency', 'source.where.currency'],
    ['show', 'show'], ['show.values[2].column', 'show.values[2]'], ['show.values', 'show.values'], ['show.columns[1]', 'show.columns'],
    ['show.value.title', 'show.value'], ['thresholds[0]', 'thresholds[0]'], ['thresholds', 'thresholds'], ['id', ''],
  ])('%s is said at %j', (place, field) => {
    expect(widgetField(place)).toBe(field);
  });

  it('is put to the field that the service names', () => {
    const problem = { field: 'document.widgets[1].show.values[0].column', detail: 'widgets[1].show.values[0].column: name the column' };
    const mistake = refusalOf(problem, DRAFT);
    expect(mistake).toEqual({ owner: { of: 'widget', id: 'b' }, field: 'show.values[0]', message: 'name the column' });
    expect(mistake && wrongAt([mistake], { of: 'widget', id: 'b' }, 'show.values[0]')).toBe('name the column');
    expect(mistake && wrongAt([mistake], { of: 'widget', id: 'a' }, 'show.values[0]')).toBeNull();
    expect(refusalOf({ field: 'document.filters[0].default', detail: 'filters[0].default: a text' }, DRAFT))
      .toEqual({ owner: { of: 'filter', id: 'customer' }, field: 'default', message: 'a text' });
    expect(refusalOf({ field: 'name', detail: 'name: 1 to 200 characters' }, DRAFT))
      .toEqual({ owner: { of: 'board' }, field: 'name', message: '1 to 200 characters' });
    expect(refusalOf({ field: 'document', detail: 'document: an object' }, DRAFT)?.field).toBe('');
    expect(refusalOf({ title: 'The service is away' }, DRAFT)).toBeNull();
  });

  it('is said until what it is about is another one', () => {
    const mistake = refusalOf({ field: 'document.widgets[0].title', detail: 'widgets[0].title: a line of text' }, DRAFT);
    if (!mistake) throw new Error('no mistake');
    const other = { ...DRAFT, document: withWidget(BOARD, kpi('b', at(4, 0, 4, 3), { title: 'Other' })) };
    expect(isStanding(mistake, DRAFT, other)).toBe(true);
    const changed = { ...DRAFT, document: withWidget(BOARD, kpi('a', at(0, 0, 4, 3), { title: 'Other' })) };
    expect(isStanding(mistake, DRAFT, changed)).toBe(false);
  });

  it('is also what is left open', () => {
    expect(openIn(DRAFT)).toEqual([]);
    expect(openIn({ name: ' ', document: EMPTY })).toHaveLength(1);
    const fields = (show: Show, part: Partial<Widget> = {}) =>
      openInWidget(kpi('a', at(0, 0, 4, 3), { show, ...part })).map(({ field }) => field);
    expect(fields({ kind: 'kpi', value: { column: '' } }, { title: '' })).toEqual(['title', 'show.value']);
    expect(fields({ kind: 'kpi', value: { how: 'count' } }, { source: { sql: ' ' } })).toEqual(['source.sql']);
    expect(fields({ kind: 'stacked_bar', by: '', values: [{ column: 'a' }, { column: '' }] })).toEqual(['show.by', 'show.values[1]']);
    expect(fields({ kind: 'stacked_bar', by: 'x', values: [{ column: 'a' }] })).toEqual(['show.split']);
    expect(fields({ kind: 'gauge', value: { how: 'count' }, target: { value: 'many' } })).toEqual(['show.target']);
    const thresholds = [{ is: 'above', value: '1.00001', tone: 'good' }] as const;
    expect(fields({ kind: 'kpi', value: { how: 'count' } }, { thresholds })).toEqual(['thresholds[0]']);
  });
});

describe('what the columns of a table are', () => {
  it('is said of its own columns alone', () => {
    const show = { kind: 'table', columns: ['a', 'b'] } as const;
    expect(withFormats(show, { a: 'hours', c: 'money' })).toEqual({ ...show, formats: { a: 'hours' } });
    expect(withFormats({ ...show, formats: { a: 'hours' } }, { a: undefined })).toEqual(show);
    const columns = [{ name: 'b', type: 'decimal' }, { name: 'd', type: 'text' }];
    expect(showOf('table', columns, { ...show, formats: { a: 'hours', b: 'percent' } })).toEqual({
      kind: 'table', columns: ['b'], formats: { b: 'percent' },
    });
  });
});

describe('two who change the same', () => {
  const mine: Draft = { name: 'Debts', document: { ...BOARD, widgets: [kpi('a', at(0, 0, 6, 3)), kpi('b', at(6, 0, 4, 3), { title: 'Mine' }), ...BOARD.widgets.slice(2)] } };
  const theirs: Draft = { name: 'Debts of all', document: { ...BOARD, filters: [], widgets: [BOARD.widgets[0] as Widget, kpi('b', at(4, 0, 4, 3), { title: 'Theirs' })] } };

  it('is told by what each has changed of what both began from', () => {
    const both = compared(DRAFT, mine, theirs);
    expect(both.mine.map(({ of, id, how, members, isShared }) => [of, id, how, members, isShared])).toEqual([
      ['widget', 'a', 'moved', ['place'], false], ['widget', 'b', 'changed', ['title', 'place'], true],
    ]);
    expect(both.theirs.map(({ of, id, how, isShared }) => [of, id, how, isShared])).toEqual([
      ['name', '', 'changed', false], ['filter', 'customer', 'removed', false],
      ['widget', 'b', 'changed', true], ['widget', 'q', 'removed', false],
    ]);
  });

  it('is no conflict where both come to the same, or say it in other words', () => {
    expect(compared(DRAFT, mine, mine).mine.some(({ isShared }) => isShared)).toBe(false);
    const spelt: Draft = { name: 'Debts', document: { ...BOARD, widgets: BOARD.widgets.map((widget): Widget => (
      widget.show.kind === 'kpi' ? { ...widget, show: { currency: 'currency', better: 'higher', value: { how: 'sum', column: 'total' }, kind: 'kpi' }, thresholds: [] } : widget
    )) } };
    expect(changes(DRAFT, spelt)).toEqual([]);
    expect(same({ a: 1, b: [1, { c: null }] }, { b: [1, { c: null }], a: 1 })).toBe(true);
    expect(same([1, 2], [2, 1])).toBe(false);
    expect(same({ a: undefined }, {})).toBe(true);
    expect(same({}, [])).toBe(false);
  });
});

describe('values', () => {
  it('are as they were typed, numbers only where no digit is lost', () => {
    expect(valueOf('number', ' 12.5 ')).toBe(12.5);
    expect(valueOf('number', '12345678901234567890')).toBe('12345678901234567890');
    expect(valueOf('text', ' a ')).toBe(' a ');
    expect(valueOf('bool', 'true')).toBe(true);
    expect(valueOf('null', 'x')).toBeNull();
    expect([null, 1, true, 'a'].map(kindOfValue)).toEqual(['null', 'number', 'bool', 'text']);
    expect(defaultOf('int', '30')).toBe(30);
    expect(defaultOf('int', 'soon')).toBe('soon');
    expect(defaultOf('decimal', '1.50')).toBe('1.50');
    expect(defaultOf('bool', 'false')).toBe(false);
    expect(defaultOf('date', ' ')).toBeUndefined();
  });
});

describe('what is not saved', () => {
  function storage(): Storage {
    const held = new Map<string, string>();
    return {
      getItem: (key: string) => held.get(key) ?? null, setItem: (key: string, text: string) => void held.set(key, text),
      removeItem: (key: string) => void held.delete(key), clear: () => held.clear(), key: () => null, length: 0,
    };
  }
  const base = {
    id: 'd1', name: 'Debts', version: 2, changed_by: 'jo', created_at: '', changed_at: '', origin: null, document: BOARD,
  };

  it('is kept for the same person and dashboard alone', () => {
    const held = storage();
    const jo = { tenant: 'harbour', subject: 'jo' };
    keep(jo, { base, draft: DRAFT }, held);
    expect(recall(jo, 'd1', held)).toEqual({ base, draft: DRAFT });
    expect(recall({ ...jo, subject: 'al' }, 'd1', held)).toBeNull();
    expect(recall(jo, 'd2', held)).toBeNull();
    forget(jo, 'd1', held);
    expect(recall(jo, 'd1', held)).toBeNull();
  });

  it('is not believed where it is something else', () => {
    const held = storage();
    const jo = { tenant: 'harbour', subject: 'jo' };
    for (const text of ['{', 'null', '{"base":{"id":"d1"}}', '[]']) {
      held.setItem('tidemark.board:harbour:jo:d1', text);
      expect(recall(jo, 'd1', held)).toBeNull();
    }
  });
});
