/**
 * Rows folded into numbers: by what they are told apart, and how each number is made of its rows. Exact.
 *
 * Invariant: rows of different currencies never meet in one number, whether the widget names the column of
 * the currency or not.
 */
import { divideRounded } from '../lib/decimal';
import type { Cell, Row } from '../lib/protocol';
import type { Columns } from '../lib/rows';
import { isNumberType } from '../lib/tables';
import { LANGUAGE } from '../lib/units';
import type { Measure } from './document';
import { ofCount, readExact, type Exact } from './exact';

export interface FoldShape {
  measures: readonly Measure[];
  /** Columns by whose values rows are told apart. */
  by?: string | undefined;
  split?: string | undefined;
  currency?: string | undefined;
}

/** Rows that are together, and their numbers in the order of the measures; null where no row has one. */
export interface Group {
  by: Cell;
  split: Cell;
  currency: Cell;
  rows: number;
  values: (Exact | null)[];
}

/** A number that grows row by row. */
interface Growing {
  sum: Exact;
  count: number;
  least: Exact;
  most: Exact;
}

/** The groups of rows, in the order in which their first rows come. */
export function fold(rows: Iterable<Row>, columns: Columns, shape: FoldShape): Group[] {
  const placeOf = (name: string | undefined) => (name !== undefined && columns.has(name) ? columns.at(name) : -1);
  const [by, split, currency] = [placeOf(shape.by), placeOf(shape.split), placeOf(shape.currency)];
  const measured = shape.measures.map((measure) => placeOf(measure.column));
  const groups = new Map<string, { group: Group; growing: (Growing | null)[] }>();
  for (const row of rows) {
    const told = [row[by] ?? null, row[split] ?? null, row[currency] ?? null] as const;
    const name = JSON.stringify(told);
    let found = groups.get(name);
    if (!found) {
      const group = { by: told[0], split: told[1], currency: told[2], rows: 0, values: [] };
      found = { group, growing: measured.map(() => null) };
      groups.set(name, found);
    }
    found.group.rows += 1;
    for (const [i, at] of measured.entries()) {
      const value = readExact(row[at]);
      if (value !== null) found.growing[i] = grown(found.growing[i] ?? null, value);
    }
  }
  return [...groups.values()].map(({ group, growing }) => ({
    ...group, values: shape.measures.map((measure, i) => ended(measure, growing[i] ?? null, group.rows)),
  }));
}

function grown(before: Growing | null, value: Exact): Growing {
  if (before === null) return { sum: value, count: 1, least: value, most: value };
  return {
    sum: before.sum + value, count: before.count + 1,
    least: value < before.least ? value : before.least, most: value > before.most ? value : before.most,
  };
}

function ended(measure: Measure, growing: Growing | null, rows: number): Exact | null {
  if (measure.how === 'count') return ofCount(rows);
  if (growing === null) return null;
  switch (measure.how ?? 'sum') {
    case 'avg': return divideRounded(growing.sum, BigInt(growing.count));
    case 'min': return growing.least;
    case 'max': return growing.most;
    default: return growing.sum;
  }
}

/**
 * The column that keeps currencies apart: the one that is named, and where none is, `currency`, if any of the
 * measures is made of numbers. Whether they are amounts their type does not say: one that was cast is one still.
 */
export function currencyColumn(
  named: string | undefined, measures: readonly Measure[], columns: Columns,
): string | undefined {
  if (named !== undefined) return named;
  if (!columns.has('currency')) return undefined;
  const isNumber = ({ column, how }: Measure) =>
    how !== 'count' && column !== undefined && columns.has(column)
    && isNumberType(columns.list[columns.at(column)]?.type ?? 'text');
  return measures.some(isNumber) ? 'currency' : undefined;
}

/** Currencies in the order in which they are shown: the firm's own first, what has none last. */
export function currenciesOf(groups: readonly Group[], own: string | undefined): Cell[] {
  const found = [...new Set(groups.map((group) => group.currency))];
  const rank = (currency: Cell) => (currency === null ? 2 : currency === own ? 0 : 1);
  return found.sort((a, b) => rank(a) - rank(b) || compareText(a, b));
}

const collator = new Intl.Collator(LANGUAGE, { numeric: true });

function compareText(a: Cell, b: Cell): number {
  return collator.compare(String(a ?? ''), String(b ?? ''));
}

/** The order of cells of one column: numbers by size, false before true, days and text as read, nothing last. */
export function compareCells(a: Cell, b: Cell): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  const [x, y] = [readExact(a), readExact(b)];
  if (x !== null && y !== null) return x < y ? -1 : x > y ? 1 : 0;
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b);
  return compareText(a, b);
}
