/** How cells and numbers of a widget read: by what their columns are, in the firm's time zone. */
import { amount, capitalized, compact, day, figure, hours, moment, percent, quantity } from '../lib/format';
import type { Cell, Column } from '../lib/protocol';
import type { Columns } from '../lib/rows';
import { cellText, columnLabel, isNumeric, kindOf, type Kind } from '../lib/tables';
import { texts } from '../lib/texts';
import type { Measure } from './document';
import { readExact, toDecimal, type Exact } from './exact';
import type { Held } from './held';
import { words } from './words';

/** How a number reads. */
export interface Reading {
  kind: Kind;
  /** Of an amount, and of other numbers that are told apart by it; null where none is known. */
  currency: Cell;
}

/** The column of a name; of an unknown one, as if it were text. */
export function columnOf(columns: Columns, name: string): Column {
  return (columns.has(name) ? columns.list[columns.at(name)] : undefined) ?? { name, type: 'text' };
}

/** What the numbers of a measure are. */
export function kindOfMeasure(measure: Measure, columns: Columns): Kind {
  if (measure.how === 'count' || measure.column === undefined) return 'count';
  if (measure.format !== undefined) return measure.format;
  const kind = kindOf(columnOf(columns, measure.column));
  // A mean of whole numbers has places.
  if (kind === 'count' && measure.how === 'avg') return 'quantity';
  return isNumeric(kind) ? kind : 'quantity';
}

/**
 * How the numbers of a measure read. `column` is the one that keeps currencies apart, `currency` what stands
 * in it, and `isApart` whether there are several.
 */
export function readingOf(
  measure: Measure, { columns, own }: Held, { column, currency, isApart }: { column: string | undefined; currency: Cell; isApart: boolean },
): Reading {
  const kind = kindOfMeasure(measure, columns);
  if (kind !== 'money') return { kind, currency: isApart ? currency : null };
  return { kind, currency: column === undefined ? own ?? null : currency };
}

/** A measure's name for people. */
export function titleOf(measure: Measure): string {
  if (measure.title !== undefined) return measure.title;
  if (measure.column === undefined) return words.count;
  const name = labelOf(measure.column);
  return measure.how === undefined || measure.how === 'sum' ? name : words.measured[measure.how](name);
}

export function labelOf(column: string): string {
  return capitalized(columnLabel(column));
}

/** A number as it is read, without its currency; a dash for none. */
export function numberText(value: Exact | null, { kind, currency }: Reading): string {
  if (value === null) return texts.rows.nothing;
  const decimal = toDecimal(value);
  switch (kind) {
    case 'money': return amount(decimal, currency);
    case 'hours': return hours(decimal);
    case 'percent': return percent(decimal, 1);
    case 'count': return figure(decimal, { places: 0 });
    default: return quantity(decimal);
  }
}

/** The same with its currency. */
export function amountText(value: Exact | null, reading: Reading): string {
  const text = numberText(value, reading);
  return value !== null && unitOf(reading) !== '' ? `${text} ${unitOf(reading)}` : text;
}

/** What stands beside a number. */
export function unitOf({ kind, currency }: Reading): string {
  if (currency === null) return '';
  return kind === 'money' ? String(currency) : words.inCurrency(String(currency));
}

/** A number on an axis, in few letters. */
export function axisText(value: number, kind: Kind): string {
  if (kind === 'percent') return percent(BigInt(Math.round(value * 100)) * 100n);
  if (Math.abs(value) < 1000) return quantity(BigInt(Math.round(value * 100)) * 100n);
  return compact(BigInt(Math.round(value)) * 10_000n);
}

/** What a cell is read with. */
export interface CellReading {
  timezone: string;
  /** The currency of its row; without one, an amount has all places that say something. */
  currency?: Cell;
  /** What its numbers are, where it was said. */
  kind?: Kind;
}

/** A cell as it is read, by its column. */
export function textOf(cell: Cell | undefined, column: Column, { timezone, currency = null, kind = kindOf(column) }: CellReading): string {
  if (cell === null || cell === undefined || cell === '') return texts.rows.nothing;
  if (column.type === 'timestamp') return moment(String(cell), timezone);
  if (column.type === 'date') return day(String(cell));
  const value = isNumeric(kind) ? readExact(cell) : null;
  return value === null ? cellText(cell, kind, { timezone }) : numberText(value, { kind, currency });
}

/** What a bar, a line or a part is called: the value it stands for. */
export function nameOf(cell: Cell, column: Column, timezone: string): string {
  return cell === null || cell === '' ? words.nameless : textOf(cell, column, { timezone });
}
