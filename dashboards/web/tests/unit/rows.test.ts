import { describe, expect, it } from 'vitest';
import { parseDecimal } from '../../src/lib/decimal';
import { Sums } from '../../src/lib/folds';
import type { Change, Row } from '../../src/lib/protocol';
import { Diverged, Rows } from '../../src/lib/rows';

const columns = [
  { name: 'customer_id', type: 'text' }, { name: 'currency', type: 'text' },
  { name: 'total', type: 'decimal' },
];
const snapshot = (rows: Row[], last = true, position = 'p1') =>
  ({ type: 'snapshot', id: 's', position, columns, key: ['customer_id', 'currency'], rows, last }) as const;
const held = (rows: Rows) => [...rows.values()].map((row) => row.join(' ')).sort();

describe('a snapshot', () => {
  it('comes in parts and counts when the last is in', () => {
    const rows = new Rows();
    expect(rows.snapshot(snapshot([['A', 'USD', '1.0000']], false))).toBe(false);
    expect(rows.complete).toBe(false);
    expect(rows.size).toBe(0);
    expect(rows.snapshot(snapshot([['B', 'USD', '2.0000']]))).toBe(true);
    expect(rows.size).toBe(2);
    expect(rows.position).toBe('p1');
  });

  it('leaves the old rows readable until it replaces them', () => {
    const rows = new Rows();
    rows.snapshot(snapshot([['A', 'USD', '1.0000']]));
    rows.reset();
    expect(rows.position).toBeUndefined();
    rows.snapshot(snapshot([['B', 'USD', '2.0000']], false, 'p2'));
    expect(held(rows)).toEqual(['A USD 1.0000']);
    rows.snapshot(snapshot([], true, 'p2'));
    expect(held(rows)).toEqual(['B USD 2.0000']);
  });

  it('begins anew when the last one was cut off', () => {
    const rows = new Rows();
    rows.snapshot(snapshot([['A', 'USD', '1.0000']], false));
    rows.abandon();
    rows.snapshot(snapshot([['A', 'USD', '3.0000']]));
    expect(held(rows)).toEqual(['A USD 3.0000']);
  });

  it('finds a row by its key, whatever the order, and a key of one column as well', () => {
    const rows = new Rows();
    expect(rows.find({ customer_id: 'A', currency: 'USD' })).toBeUndefined();
    rows.snapshot(snapshot([['A', 'USD', '1.0000'], ['A', null, '2.0000']]));
    expect(rows.key).toEqual(['customer_id', 'currency']);
    expect(rows.find({ currency: 'USD', customer_id: 'A' })?.[2]).toBe('1.0000');
    expect(rows.find({ customer_id: 'A', currency: null })?.[2]).toBe('2.0000');
    expect(rows.find({ customer_id: 'B', currency: 'USD' })).toBeUndefined();
    const single = new Rows();
    single.snapshot({ ...snapshot([['A', 'USD', '1.0000']]), key: ['customer_id'] });
    expect(single.find({ customer_id: 'A' })?.[2]).toBe('1.0000');
  });

  it('may not name a row twice', () => {
    const rows = new Rows();
    const twice = snapshot([['A', 'USD', '1.0000'], ['A', 'USD', '2.0000']]);
    expect(() => rows.snapshot(twice)).toThrow(Diverged);
  });
});

describe('a delta', () => {
  const filled = () => {
    const rows = new Rows();
    rows.snapshot(snapshot([['A', 'USD', '1.0000'], ['A', 'EUR', '5.0000']]));
    return rows;
  };

  it('updates by a removal and an insertion, in any order', () => {
    const rows = filled();
    rows.delta([[1, ['A', 'USD', '9.0000']], [-1, ['A', 'USD', '1.0000']]], 'p2');
    expect(held(rows)).toEqual(['A EUR 5.0000', 'A USD 9.0000']);
    expect(rows.position).toBe('p2');
  });

  it.each<[string, Change[]]>([
    ['removes what is not held', [[-1, ['B', 'USD', '1.0000']]]],
    ['removes another version of a row', [[-1, ['A', 'USD', '2.0000']]]],
    ['adds what is there', [[1, ['A', 'USD', '2.0000']]]],
    ['weighs more than one', [[2, ['C', 'USD', '2.0000']]]],
  ])('is not believed when it %s', (_, changes) => {
    expect(() => filled().delta(changes, 'p2')).toThrow(Diverged);
  });

  it('is not believed before the snapshot', () => {
    expect(() => new Rows().delta([], 'p1')).toThrow(Diverged);
  });
});

describe('rows without a key', () => {
  const answer = (rows: Row[]) => ({ ...snapshot(rows), key: [] });

  it('may be there several times', () => {
    const rows = new Rows();
    rows.snapshot(answer([['A', 'USD', '1.0000'], ['A', 'USD', '1.0000'], ['B', 'USD', '2.0000']]));
    expect(rows.size).toBe(3);
    rows.delta([[-2, ['A', 'USD', '1.0000']], [2, ['B', 'USD', '2.0000']]], 'p2');
    expect(held(rows)).toEqual(['B USD 2.0000', 'B USD 2.0000', 'B USD 2.0000']);
  });

  it('are not removed more often than they are held', () => {
    const rows = new Rows();
    rows.snapshot(answer([['A', 'USD', '1.0000']]));
    expect(() => rows.delta([[-2, ['A', 'USD', '1.0000']]], 'p2')).toThrow(Diverged);
  });
});

describe('sums', () => {
  it('equal the sums of the rows after any changes, exactly', () => {
    const rows = new Rows();
    const sums = rows.fold(new Sums({
      by: 'currency', sums: ['total'], counts: { owing: (cell) => String(cell('total')) !== '0.0000' },
    }));
    const truth = new Map<string, string>();
    rows.snapshot(snapshot([]));
    let seed = 42;
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * below);
    };
    for (let step = 0; step < 2000; step += 1) {
      const key = `C${random(20)} ${['USD', 'EUR'][random(2)]}`;
      const row = (total: string): Row => [...key.split(' '), total];
      const changes: Change[] = [];
      const before = truth.get(key);
      if (before !== undefined) changes.push([-1, row(before)]);
      if (random(3) > 0) {
        const total = `${random(2) === 0 ? '-' : ''}${random(1e9)}.${String(random(10_000)).padStart(4, '0')}`;
        changes.push([1, row(total)]);
        truth.set(key, total);
      } else {
        truth.delete(key);
      }
      rows.delta(changes, `p${step}`);
    }
    expect(held(rows)).toEqual([...truth].map(([key, total]) => `${key} ${total}`).sort());
    for (const currency of ['USD', 'EUR']) {
      const mine = [...truth].filter(([key]) => key.endsWith(currency)).map(([, total]) => total);
      const group = sums.group(currency);
      expect(group.rows).toBe(mine.length);
      expect(group.counts['owing']).toBe(mine.length);
      expect(group.sums['total']).toBe(mine.reduce((sum, total) => sum + parseDecimal(total), 0n));
    }
  });

  it('begin with the rows that are there, and follow a new snapshot', () => {
    const rows = new Rows();
    rows.snapshot(snapshot([['A', 'USD', '1.5000']]));
    const sums = rows.fold(new Sums({ by: 'currency', sums: ['total'] }));
    expect(sums.group('USD').sums['total']).toBe(15_000n);
    rows.reset();
    rows.snapshot(snapshot([['A', 'EUR', '2.0000']], true, 'p2'));
    expect(sums.group('USD').rows).toBe(0);
    expect([...sums.groups.keys()]).toEqual(['EUR']);
  });
});
