/** Rows as a widget's table shows them: its columns, in its order, the first ones. */
import type { Cell, Column, Row } from '../lib/protocol';
import { exactOf, isNumeric, kindOf, type Kind } from '../lib/tables';
import type { TableShow } from './document';
import { compareCells } from './fold';
import type { Held } from './held';
import { textOf } from './reading';

/** The most rows in the page; the drawer has all. */
export const MOST_LINES = 500;

export interface TableColumn extends Column {
  /** Where its cell stands in a row. */
  at: number;
  kind: Kind;
  isNumber: boolean;
}

export interface ShownRows {
  columns: TableColumn[];
  rows: Row[];
  /** How many there are in all. */
  all: number;
  /** The currency of the amounts in a row. */
  currencyOf: (row: Row) => Cell;
}

/** The first rows, as many as are shown in the page. */
export function shownRows(held: Held, show: TableShow): ShownRows {
  const { rows, ...shown } = listedRows(held, show);
  return { ...shown, rows: rows.slice(0, MOST_LINES) };
}

/** All rows that the widget asks for, as a file has them. */
export function listedRows({ columns, rows, own }: Held, show: TableShow): ShownRows {
  const listed = show.columns.map((name): TableColumn => {
    const at = columns.at(name);
    const column = columns.list[at] ?? { name, type: 'text' };
    const kind = formatOf(show, name) ?? kindOf(column);
    return { ...column, at, kind, isNumber: isNumeric(kind) };
  });
  const currencyAt = columns.has('currency') ? columns.at('currency') : -1;
  const currencyOf = (row: Row) => (currencyAt < 0 ? own : row[currencyAt]) ?? null;
  return { columns: listed, rows: ordered(rows, show, columns).slice(0, show.limit ?? rows.length), all: rows.length, currencyOf };
}

function formatOf({ formats = {} }: TableShow, column: string): Kind | undefined {
  return Object.hasOwn(formats, column) ? formats[column] : undefined;
}

/** A cell as it is read. */
export function cellTextOf({ currencyOf }: ShownRows, row: Row, column: TableColumn, timezone: string): string {
  return textOf(row[column.at], column, { timezone, currency: currencyOf(row), kind: column.kind });
}

/** A number with all its places, where what is read of it leaves some out. */
export function exactTextOf({ currencyOf }: ShownRows, row: Row, column: TableColumn): string | undefined {
  return exactOf(row[column.at], column.kind, { currency: currencyOf(row) });
}

function ordered(rows: readonly Row[], { sort }: TableShow, columns: Held['columns']): Row[] {
  if (sort === undefined) return [...rows];
  const at = columns.at(sort.column);
  const sign = sort.descending === true ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [a[at] ?? null, b[at] ?? null];
    // What is not known comes last in either direction.
    return x === null || y === null ? compareCells(x, y) : sign * compareCells(x, y);
  });
}
