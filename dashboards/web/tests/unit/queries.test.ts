import { describe, expect, it } from 'vitest';
import { AnswerRows } from '../../src/lib/answer_rows';
import { fileName } from '../../src/lib/file';
import { duration } from '../../src/lib/measures';
import type { Row } from '../../src/lib/protocol';
import { mayAnalyse } from '../../src/lib/token';
import { fullName, matching, relations } from '../../src/sql/catalog';
import { asTabs, cellText, sorted, widths } from '../../src/sql/cells';
import { EMPTY, MOST_ASKED, MOST_SAVED, read, withAsked, withSaved, written, type Asked } from '../../src/sql/notebook';
import { fitted, parameterCount, questionBody, wrong } from '../../src/sql/parameters';
import { offsetOf, placeOf, wordAt } from '../../src/sql/places';
import { guess, MOST_POINTS, pointsOf } from '../../src/sql/plot';

const TRICKY = [
  ['a "quoted" ],[ "rows":[ name', 'back\\slash', null, true], ['', '\\"', 1.5, false], ['ü🙂\n', '[', -3, null],
];
const ANSWER = JSON.stringify({
  columns: [{ name: '"rows":[', type: 'text' }, { name: 'rows', type: 'text' }, { name: 'n', type: 'float' }, { name: 'b', type: 'bool' }],
  rows: TRICKY, position: 'p1', as_of: '2026-03-31',
});

describe('an answer that comes in pieces', () => {
  const readBy = (size: number, text = ANSWER): [Row[], AnswerRows] => {
    const answer = new AnswerRows();
    const rows: Row[] = [];
    for (let at = 0; at < text.length; at += size) rows.push(...answer.push(text.slice(at, at + size)));
    return [rows, answer];
  };

  it('is the same wherever it is cut', () => {
    for (let size = 1; size <= ANSWER.length; size += 1) {
      const [rows, answer] = readBy(size);
      answer.finish();
      expect(rows).toEqual(TRICKY);
      expect(answer.columns?.map(({ name }) => name)).toEqual(['"rows":[', 'rows', 'n', 'b']);
      expect(answer.asOf).toBe('2026-03-31');
    }
  });

  it('may have no rows, and is not taken for whole where it broke off', () => {
    const empty = '{"columns":[{"name":"a","type":"int"}],"rows":[],"position":"p","as_of":null}';
    const [rows, answer] = readBy(5, empty);
    answer.finish();
    expect([rows, answer.asOf]).toEqual([[], null]);
    for (const length of [0, 10, 60, ANSWER.indexOf('"position"')]) {
      expect(() => readBy(7, ANSWER.slice(0, length))[1].finish()).toThrow(/broke off|cannot be read/);
    }
  });

  it('keeps every digit of whole numbers', () => {
    const text = '{"columns":[],"rows":[[9007199254740993,"9007199254740993",-9223372036854775808,0.12345678901234567,12]],"position":"p","as_of":null}';
    const [rows] = readBy(1000, text);
    expect(rows).toEqual([['9007199254740993', '9007199254740993', '-9223372036854775808', 0.12345678901234567, 12]]);
  });
});

describe('parameters', () => {
  it('are found outside of strings, names and comments', () => {
    expect(parameterCount(`SELECT $1, '$2', "$3" -- $4\n, $2 /* $9 */`)).toBe(2);
    expect(parameterCount("SELECT 'it''s $5'")).toBe(0);
    expect(parameterCount('SELECT $12')).toBe(12);
    expect(parameterCount('SELECT $99999999')).toBe(0);
    expect(fitted([{ kind: 'text', text: 'x' }], '$2')).toEqual([{ kind: 'text', text: 'x' }, { kind: 'auto', text: '' }]);
  });

  it('go as they are meant, with every digit', () => {
    const body = questionBody('SELECT "a"', [
      { kind: 'auto', text: '28.50' }, { kind: 'auto', text: '007' }, { kind: 'auto', text: '1234567890123456' },
      { kind: 'text', text: '28' }, { kind: 'decimal', text: '1.2345678901234567' }, { kind: 'int', text: '9007199254740993' },
      { kind: 'bool', text: 'true' }, { kind: 'bool', text: '' }, { kind: 'null', text: 'x' }, { kind: 'date', text: ' 2026-01-31 ' },
      { kind: 'auto', text: "it's \"so\"" },
    ]);
    expect(body).toBe('{"sql":"SELECT \\"a\\"","params":[28.50,"007","1234567890123456","28","1.2345678901234567",'
      + '9007199254740993,true,false,null,"2026-01-31","it\'s \\"so\\""]}');
  });

  it.each([
    ['int', '1.5', false], ['int', '-3', true], ['int', '', false], ['decimal', '1e3', false], ['decimal', '-0.5', true],
    ['date', '2026-02-30', false], ['date', '2026-02-28', true], ['timestamp', '2026-01-31', false],
    ['timestamp', '2026-01-31T12:00:00Z', true], ['auto', '', true], ['text', '', true], ['null', '', true],
  ] as const)('of the kind %s: %j', (kind, text, isRight) => {
    expect(wrong({ kind, text }) === null).toBe(isRight);
  });
});

describe('places in SQL', () => {
  const sql = 'SELECT 🙂a,\n  "odd name" FROM t';

  it('count characters, as the service does', () => {
    expect(sql.slice(offsetOf(sql, 1, 9))).toMatch(/^a,/);
    expect(sql.slice(offsetOf(sql, 2, 3))).toMatch(/^"odd/);
    expect(offsetOf(sql, 1, 500)).toBe(sql.indexOf('\n'));
    expect(offsetOf(sql, 9, 1)).toBe(sql.length);
    for (let at = 0; at < sql.length; at += 1) {
      if (/[\udc00-\udfff]/.test(sql[at] ?? '')) continue;
      const { line, column } = placeOf(sql, at);
      expect(offsetOf(sql, line, column)).toBe(at);
    }
  });

  it('are words, names and signs', () => {
    const at = (text: string) => {
      const { from, to } = wordAt(sql, sql.indexOf(text));
      return sql.slice(from, to);
    };
    expect([at('SELECT'), at('"odd'), at(','), at('t')]).toEqual(['SELECT', '"odd name"', ',', 't']);
    expect(wordAt('SELECT (', 8)).toEqual({ from: 7, to: 8 });
    expect(wordAt('', 0)).toEqual({ from: 0, to: 0 });
  });
});

describe('cells of a result', () => {
  const columns = [{ name: 'd', type: 'decimal' }, { name: 't', type: 'text' }];
  const rows = [['10.5', 'b10'], ['-2.0001', 'b9'], [null, 'a'], ['99999999999999999999.25', null], ['10.50', 'B']];

  it('read with all their places', () => {
    expect(cellText('-1234567.5000', 'decimal')).toBe('−1,234,567.5000');
    expect(cellText('9007199254740993', 'int')).toBe('9,007,199,254,740,993');
    expect(cellText('1234', 'text')).toBe('1234');
    expect(cellText(null, 'text')).toBe('null');
    expect(cellText(1e300, 'float')).toBe('1e+300');
  });

  it('are sorted exactly, with nothing last', () => {
    const by = (column: number, descending: boolean) => sorted(rows, columns, { column, descending }).map((row) => row[column]);
    expect(by(0, false)).toEqual(['-2.0001', '10.5', '10.50', '99999999999999999999.25', null]);
    expect(by(0, true)).toEqual(['99999999999999999999.25', '10.5', '10.50', '-2.0001', null]);
    expect(by(1, false)).toEqual(['a', 'B', 'b9', 'b10', null]);
    expect(sorted(rows, columns, null)).toBe(rows);
  });

  it('are copied as they came', () => {
    expect(asTabs(columns, [['1.5', 'a\tb'], [null, 'say "x"']])).toBe('d\tt\n1.5\t"a\tb"\n\t"say ""x"""');
  });

  it('have room within bounds', () => {
    expect(widths([{ name: 'n', type: 'int' }, { name: 'x', type: 'text' }], [[1, 'y'.repeat(500)]])).toEqual([64, 360]);
  });
});

describe('a chart of a result', () => {
  const columns = [{ name: 'day', type: 'date' }, { name: 'who', type: 'text' }, { name: 'n', type: 'int' }];
  const rows = [['2026-01-02', 'a', 1], ['2026-01-01', 'b', 2], ['2026-01-01', 'a', 3], ['2026-01-03', null, null]];

  it('shows figures over time, a line for each name', () => {
    const plot = guess(columns);
    expect(plot).toEqual({ kind: 'line', x: 0, ys: [2], split: 1 });
    if (!plot) throw new Error('no chart');
    const points = pointsOf(columns, rows, plot);
    expect(points.names).toEqual(['2026-01-01', '2026-01-02', '2026-01-03']);
    expect(points.lines).toEqual([
      { name: 'a', cells: [3, 1, null] }, { name: 'b', cells: [2, null, null] }, { name: '(none)', cells: [null, null, null] },
    ]);
  });

  it('needs a figure, and stays within bounds', () => {
    expect(guess([{ name: 'a', type: 'text' }])).toBeNull();
    expect(guess([{ name: 'a', type: 'int' }])).toBeNull();
    const many = Array.from({ length: 2000 }, (_, i) => [`k${i}`, i]);
    const two = [{ name: 'k', type: 'text' }, { name: 'v', type: 'int' }];
    const points = pointsOf(two, many, { kind: 'bars', x: 0, ys: [1], split: null });
    expect([points.names.length, points.points, points.lines[0]?.cells.length]).toEqual([MOST_POINTS, 2000, MOST_POINTS]);
  });
});

describe('a notebook', () => {
  const asked = (sql: string): Asked => ({ sql, params: [], at: 1, outcome: 'done', rows: 1, took: 5 });

  it('keeps the newest, the same one once', () => {
    let book = EMPTY;
    for (let i = 0; i < MOST_ASKED + 20; i += 1) book = withAsked(book, asked(`SELECT ${i}`));
    book = withAsked(book, asked(`SELECT ${MOST_ASKED + 19}`));
    expect(book.asked).toHaveLength(MOST_ASKED);
    expect(book.asked[0]?.sql).toBe(`SELECT ${MOST_ASKED + 19}`);
    expect(book.asked[1]?.sql).toBe(`SELECT ${MOST_ASKED + 18}`);
  });

  it('has one query of a name, and no more than there is room for', () => {
    let book = EMPTY;
    for (let i = 0; i < MOST_SAVED; i += 1) book = withSaved(book, { name: `n${i}`, at: i, sql: 'x', params: [] }) ?? EMPTY;
    expect(withSaved(book, { name: 'another', at: 0, sql: 'x', params: [] })).toBeNull();
    const replaced = withSaved(book, { name: 'n7', at: 0, sql: 'y', params: [] });
    expect(replaced?.saved.find(({ name }) => name === 'n7')?.sql).toBe('y');
    expect(replaced?.saved).toHaveLength(MOST_SAVED);
  });

  it('forgets the oldest rather than grow, and says when even that is not enough', () => {
    let book = EMPTY;
    for (let i = 0; i < 20; i += 1) book = withAsked(book, asked(`${i} ${'x'.repeat(100)}`));
    const text = written(book, 1500);
    expect(text?.length).toBeLessThanOrEqual(1500);
    expect(read(text).asked[0]?.sql.startsWith('19 ')).toBe(true);
    expect(written({ ...EMPTY, draft: { sql: 'x'.repeat(2000), params: [] } }, 1500)).toBeNull();
  });

  it('is read with care', () => {
    const book = withSaved(withAsked(EMPTY, asked('SELECT 1')), { name: 'a', at: 1, sql: 'b', params: [{ kind: 'int', text: '3' }] });
    expect(read(written(book ?? EMPTY))).toEqual(book);
    for (const text of [null, '', '{', 'null', '[]', '{"draft":3,"saved":{},"asked":[null,{"sql":1}]}']) {
      expect(read(text)).toEqual(EMPTY);
    }
    expect(read('{"draft":{"sql":"x","params":[{"kind":"evil","text":7}]}}').draft.params).toEqual([{ kind: 'auto', text: '' }]);
  });
});

describe('the catalog', () => {
  const columns = [
    ['public', 'ar_aging', 'customer_id', 'text'], ['events', 'hr.time_logged', 'hours', 'decimal'],
    ['information_schema', 'tables', 'table_name', 'text'],
  ];
  const views = [
    { name: 'ar_aging', row_count: 3, state: 'live', own: false, columns: [] },
    { name: 'mine', row_count: 0, state: 'filling', own: true, columns: [{ name: 'a', type: 'int' }] },
  ];
  const all = relations(columns, views);

  it('has views, and events under names that SQL takes', () => {
    expect(all.map(fullName)).toEqual(['ar_aging', 'mine', 'events."hr.time_logged"']);
    expect(all[1]).toMatchObject({ state: 'filling', columns: [{ name: 'a', type: 'int' }] });
  });

  it('is searched by names and columns', () => {
    expect(matching(all, 'HOURS hr').map(({ name }) => name)).toEqual(['hr.time_logged']);
    expect(matching(all, ' ')).toBe(all);
  });
});

describe('who may', () => {
  const claims = (...roles: string[]) => ({ subject: 's', tenant: 't', roles, expiresAt: undefined });

  it('ask in SQL is in the token, or for the service to say', () => {
    expect(mayAnalyse(claims('analyst'))).toBe(true);
    expect(mayAnalyse(claims('executive', 'admin'))).toBe(true);
    expect(mayAnalyse(claims('executive'))).toBe(false);
    expect(mayAnalyse(claims('offline_access'))).toBeNull();
    expect(mayAnalyse(null)).toBeNull();
  });
});

describe('measures and names', () => {
  it('read well', () => {
    expect([duration(38), duration(1240), duration(12_340), duration(125_000)]).toEqual(['38 ms', '1.24 s', '12.3 s', '2 min 5 s']);
    expect([fileName('events."hr.time"'), fileName('"—"')]).toEqual(['events-hr-time', 'query']);
  });
});
