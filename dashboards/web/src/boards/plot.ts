/** Groups of rows as lines, bars and areas: what stands along the axis, and a course for each series. */
import type { Cell } from '../lib/protocol';
import type { Columns } from '../lib/rows';
import type { Kind } from '../lib/tables';
import type { BarShow, LineShow, Measure, Sort } from './document';
import type { Exact } from './exact';
import { compareCells, currenciesOf, currencyColumn, fold, type Group } from './fold';
import { columnOf, nameOf, readingOf, titleOf, type Reading } from './reading';
import type { Held } from './held';
import { words } from './words';

/** The most places along an axis, and the most series, that are drawn. */
export const MOST_POINTS = 400;
export const MOST_COURSES = 16;

/** One line, or the bars of one colour. */
export interface Course {
  /** The same for the same series, whatever its name is. */
  id: string;
  name: string;
  reading: Reading;
  /** What it may be stacked with: never amounts of another currency, nor other things than amounts. */
  stack: string;
  values: (Exact | null)[];
  /** The column and value whose rows it is made of; null where it is of all. */
  pick: Readonly<Record<string, Cell>>;
}

export interface Plot {
  /** What stands along the axis, and the values that these are the names of. */
  names: string[];
  keys: Cell[];
  courses: Course[];
  /** How many there are in all. */
  allKeys: number;
  allCourses: number;
  /** The column along the axis, and its type. */
  by: string;
  byType: string;
  /** The column by which amounts are kept apart. */
  currency: string | undefined;
}

interface Asked {
  by: string;
  values: readonly Measure[];
  split?: string | undefined;
  currency?: string | undefined;
  sort?: Sort | undefined;
  limit?: number | undefined;
}

/** The plot of rows. `own` is the firm's currency, which comes first. */
export function plotOf(rows: Held, show: LineShow | BarShow, own: string | undefined, timezone: string): Plot {
  const asked: Asked = show;
  const { columns } = rows;
  const currency = currencyColumn(asked.currency, asked.values, columns);
  const order = asked.sort && asked.sort.column !== asked.by ? sorter(asked.sort, asked.values, columns) : null;
  const measures = order?.added ? [...asked.values, order.added] : asked.values;
  const groups = fold(rows.rows, columns, { measures, by: asked.by, split: asked.split, currency });
  const currencies = currenciesOf(groups, own);
  const all = ordered(groups, asked, currencies, order);
  const keys = all.slice(0, Math.min(asked.limit ?? MOST_POINTS, MOST_POINTS));
  // A limit is what was asked for; beyond it nothing is missing.
  const allKeys = Math.min(all.length, asked.limit ?? all.length);
  const courses = coursesOf(groups, asked, { currencies, currency, held: rows, keys, timezone });
  const column = columnOf(columns, asked.by);
  return {
    keys, names: keys.map((key) => nameOf(key, column, timezone)), by: asked.by, byType: column.type, currency,
    courses: courses.slice(0, MOST_COURSES), allKeys, allCourses: courses.length,
  };
}

interface Sorter {
  /** A measure that is there for the order alone. */
  added: Measure | null;
  /** Which of the measures decides. */
  place: number;
}

function sorter(sort: Sort, values: readonly Measure[], columns: Columns): Sorter | null {
  const place = values.findIndex((measure) => measure.column === sort.column);
  if (place >= 0) return { added: null, place };
  return columns.has(sort.column) ? { added: { column: sort.column, how: 'sum' }, place: values.length } : null;
}

/** The values along the axis in their order. */
function ordered(groups: readonly Group[], asked: Asked, currencies: readonly Cell[], order: Sorter | null): Cell[] {
  const keys = new Map<string, Cell>(groups.map(({ by }) => [JSON.stringify(by), by]));
  const descending = asked.sort?.descending === true;
  const byKey = [...keys.values()].sort(compareCells);
  if (order === null) return descending && asked.sort?.column === asked.by ? reversed(byKey) : byKey;
  // Amounts of different currencies are not compared with each other: the first currency decides.
  const sums = new Map<string, (Exact | null)[]>();
  for (const group of groups) {
    const name = JSON.stringify(group.by);
    const held: (Exact | null)[] = sums.get(name) ?? currencies.map(() => null);
    sums.set(name, held);
    const [at, value] = [currencies.indexOf(group.currency), group.values[order.place] ?? null];
    if (value !== null) held[at] = (held[at] ?? 0n) + value;
  }
  const sizes = (key: Cell) => sums.get(JSON.stringify(key)) ?? [];
  return byKey.sort((a, b) => compareSizes(sizes(a), sizes(b), descending ? -1 : 1));
}

/** What is not known stays last in either direction. */
function reversed(keys: readonly Cell[]): Cell[] {
  return [...keys.filter((key) => key !== null).reverse(), ...keys.filter((key) => key === null)];
}

function compareSizes(a: readonly (Exact | null)[], b: readonly (Exact | null)[], sign: 1 | -1): number {
  for (const [i, x] of a.entries()) {
    const y = b[i] ?? null;
    if (x === y) continue;
    if (x === null || y === null) return x === null ? 1 : -1;
    return x < y ? -sign : sign;
  }
  return 0;
}

interface Around {
  currencies: readonly Cell[];
  /** The column of the currency, if amounts are kept apart by one. */
  currency: string | undefined;
  held: Held;
  keys: readonly Cell[];
  timezone: string;
}

function coursesOf(groups: readonly Group[], asked: Asked, around: Around): Course[] {
  const placeOf = new Map(around.keys.map((key, i) => [JSON.stringify(key), i]));
  // Bars along the currencies have one in each place, so that they need no colour for it.
  const isApart = around.currency !== undefined && around.currency !== asked.by && around.currency !== asked.split;
  const courses = new Map<string, Course>();
  const told = [...groups].sort((a, b) =>
    around.currencies.indexOf(a.currency) - around.currencies.indexOf(b.currency) || compareCells(a.split, b.split));
  for (const group of told) {
    const place = placeOf.get(JSON.stringify(group.by));
    if (place === undefined) continue;
    for (const [i, measure] of asked.values.entries()) {
      const currency = isApart ? group.currency : null;
      const id = JSON.stringify([i, group.split, currency]);
      const course = courses.get(id) ?? begun(id, measure, group, { ...around, asked, isApart });
      courses.set(id, course);
      course.values[place] = group.values[i] ?? null;
    }
  }
  return [...courses.values()];
}

function begun(
  id: string, measure: Measure, group: Group, { asked, isApart, ...around }: Around & { asked: Asked; isApart: boolean },
): Course {
  const { columns } = around.held;
  const isOnly = around.currencies.length === 1;
  const isKnown = isApart || isOnly || around.currency === asked.split;
  const reading = readingOf(measure, around.held, {
    column: around.currency, currency: isKnown ? group.currency : null, isApart: !isOnly,
  });
  const split = asked.split === undefined ? null : nameOf(group.split, columnOf(columns, asked.split), around.timezone);
  const names = [
    split ?? titleOf(measure),
    ...(isApart && !isOnly ? [group.currency === null ? words.noCurrency : String(group.currency)] : []),
  ];
  return {
    id, name: names.join(' · '), reading,
    stack: stackOf(reading.kind, group, isApart || around.currency === asked.split),
    values: around.keys.map(() => null),
    pick: {
      ...(asked.split === undefined ? {} : { [asked.split]: group.split }),
      ...(isApart && !isOnly && around.currency !== undefined ? { [around.currency]: group.currency } : {}),
    },
  };
}

function stackOf(kind: Kind, group: Group, isByCurrency: boolean): string {
  return JSON.stringify([kind, isByCurrency ? group.currency : null]);
}

/** How one number reads: where bars stand along the currencies, in the one that its bar stands for. */
export function readingAt(plot: Plot, course: Course, place: number): Reading {
  if (course.reading.currency !== null || plot.currency !== plot.by) return course.reading;
  // Another number than an amount stands over the name of its currency already.
  return course.reading.kind === 'money' ? { ...course.reading, currency: plot.keys[place] ?? null } : course.reading;
}
