/** Rows as parts of a whole and as steps: pies, funnels, gauges and large numbers, one for each currency. */
import type { Cell } from '../lib/protocol';
import type { FunnelShow, GaugeShow, KpiShow, Measure, PieShow } from './document';
import { readExact, type Exact } from './exact';
import { compareCells, currenciesOf, currencyColumn, fold, type Group } from './fold';
import type { Held } from './held';
import { columnOf, nameOf, readingOf, type Reading } from './reading';
import { words } from './words';

export interface Part {
  name: string;
  value: Exact;
  /** The column and value whose rows it is made of; null for what is left of several. */
  pick: Readonly<Record<string, Cell>> | null;
}

/** Parts that are of one currency, or of none. */
export interface Whole {
  currency: Cell;
  reading: Reading;
  parts: Part[];
  sum: Exact;
  /** Parts that cannot be drawn, since they are zero or less. */
  below: number;
}

/** The most parts that a pie has where no limit is given. */
const MOST_PARTS = 12;

export function piesOf(held: Held, show: PieShow, own: string | undefined, timezone: string): Whole[] {
  return wholesOf(held, show, own).map(({ currency, reading, groups, apart }) => {
    const column = columnOf(held.columns, show.by);
    const known = groups.map((group) => ({ group, value: group.values[0] ?? 0n }));
    const above = known.filter(({ value }) => value > 0n);
    above.sort((a, b) => (a.value < b.value ? 1 : a.value > b.value ? -1 : compareCells(a.group.by, b.group.by)));
    const most = show.limit ?? MOST_PARTS;
    // One that would be left alone is shown as what it is.
    const shown = above.length === most + 1 ? above : above.slice(0, most);
    const parts: Part[] = shown.map(({ group, value }) => ({
      name: nameOf(group.by, column, timezone), value, pick: { [show.by]: group.by, ...apart },
    }));
    const rest = above.slice(shown.length).reduce((sum, { value }) => sum + value, 0n);
    if (rest > 0n) parts.push({ name: words.other, value: rest, pick: null });
    const sum = above.reduce((all, { value }) => all + value, 0n);
    return { currency, reading, parts, sum, below: known.length - above.length };
  });
}

/** The steps that are asked for, from the top, also those that no row has. */
export function funnelsOf(held: Held, show: FunnelShow, own: string | undefined): Whole[] {
  return wholesOf(held, show, own).map(({ currency, reading, groups, apart }) => {
    const parts = show.order.map((step) => {
      const found = groups.find((group) => group.by !== null && String(group.by) === step);
      return { name: step, value: found?.values[0] ?? 0n, pick: { [show.by]: found?.by ?? step, ...apart } };
    });
    const sum = parts.reduce((all, { value }) => all + value, 0n);
    return { currency, reading, parts, sum, below: 0 };
  });
}

interface Unparted {
  currency: Cell;
  reading: Reading;
  groups: Group[];
  /** What keeps its rows apart from those of other currencies. */
  apart: Readonly<Record<string, Cell>>;
}

function wholesOf(held: Held, show: PieShow | FunnelShow, own: string | undefined): Unparted[] {
  const { columns } = held;
  const column = currencyColumn(show.currency, [show.value], columns);
  const groups = fold(held.rows, columns, { measures: [show.value], by: show.by, currency: column });
  const currencies = currenciesOf(groups, own);
  const isApart = currencies.length > 1;
  return currencies.map((currency) => ({
    currency, reading: readingOf(show.value, held, { column, currency, isApart }),
    groups: groups.filter((group) => group.currency === currency),
    apart: column !== undefined && isApart ? { [column]: currency } : {},
  }));
}

/** A number and what it is compared with. */
export interface Figure {
  currency: Cell;
  reading: Reading;
  value: Exact | null;
  other: Exact | null;
  pick: Readonly<Record<string, Cell>>;
}

/** The numbers of a widget that has one for each currency; without rows the one that nothing comes to. */
export function figuresOf(held: Held, show: KpiShow | GaugeShow, own: string | undefined): Figure[] {
  const { columns } = held;
  const other = comparedWith(show);
  const measures = other ? [show.value, other] : [show.value];
  const column = currencyColumn(show.currency, measures, columns);
  const groups = fold(held.rows, columns, { measures, currency: column });
  const fixed = show.kind === 'gauge' && 'value' in show.target ? readExact(show.target.value) : null;
  if (groups.length === 0) {
    const isZero = show.value.how === undefined || show.value.how === 'sum' || show.value.how === 'count';
    const currency = column === undefined ? null : own ?? null;
    const reading = readingOf(show.value, held, { column, currency, isApart: false });
    return [{ currency, reading, value: isZero ? 0n : null, other: fixed, pick: {} }];
  }
  const currencies = currenciesOf(groups, own);
  return currencies.flatMap((currency) => {
    const group = groups.find((candidate) => candidate.currency === currency);
    if (!group) return [];
    const isApart = currencies.length > 1;
    const pick: Record<string, Cell> = column !== undefined && isApart ? { [column]: currency } : {};
    return [{
      currency, reading: readingOf(show.value, held, { column, currency, isApart }), value: group.values[0] ?? null,
      other: other ? group.values[1] ?? null : fixed, pick,
    }];
  });
}

/** The measure beside the number itself, made in the same way of another column. */
function comparedWith(show: KpiShow | GaugeShow): Measure | null {
  const beside = show.kind === 'kpi' ? show.delta : show.target;
  if (beside === undefined || !('column' in beside)) return null;
  if (show.value.how === 'count') return { how: 'count' };
  return { column: beside.column, how: show.value.how ?? 'sum' };
}

/** What a number is for each value of a column, in order: the line beneath it. */
export function courseOf(held: Held, show: KpiShow, by: string, currency: Cell): Exact[] {
  const column = currencyColumn(show.currency, [show.value], held.columns);
  const groups = fold(held.rows, held.columns, { measures: [show.value], by, currency: column });
  return groups
    .filter((group) => group.currency === currency && group.by !== null)
    .sort((a, b) => compareCells(a.by, b.by))
    .flatMap((group) => group.values[0] ?? []);
}

/** A line through values in a box, from left to right; empty for fewer than two. */
export function coursePath(values: readonly number[], width: number, height: number): string {
  if (values.length < 2) return '';
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const y = (value: number) => (high === low ? height / 2 : height - ((value - low) / (high - low)) * height);
  const step = width / (values.length - 1);
  return values.map((value, i) => `${i === 0 ? 'M' : 'L'}${(i * step).toFixed(1)} ${y(value).toFixed(1)}`).join('');
}
