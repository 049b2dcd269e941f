/** Rows as a widget's table shows them: its columns, in its order, the first ones. */
import type { Column, Row } from '../lib/protocol';
import { isNumeric, kindOf } from '../lib/tables';
import type { TableShow } from './document';
import { compareCells } from './fold';
import type { Held } from './held';

/** The most rows in the page; the drawer has all. */
export const MOST_LINES = 500;

export interface TableColumn extends Column {
  /** Where its cell stands in a row. */
  at: number;
  isNumber: boolean;
}

export interface ShownRows {
  columns: TableColumn[];
  rows: Row[];
  /** How many there are in all. */
  all: number;
}

export function shownRows({ columns, rows }: Held, show: TableShow): ShownRows {
  const listed = show.columns.map((name): TableColumn => {
    const at = columns.at(name);
    const column = columns.list[at] ?? { name, type: 'text' };
    return { ...column, at, isNumber: isNumeric(kindOf(column)) };
  });
  const limit = Math.min(show.limit ?? MOST_LINES, MOST_LINES);
  return { columns: listed, rows: ordered(rows, show, columns).slice(0, limit), all: rows.length };
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
