/** The rows that are about one project, with the way from each of their figures to its events. */
import type { Decimal } from '../lib/decimal';
import { decimalOf } from '../lib/folds';
import { projectAddress } from '../lib/place';
import type { Cell } from '../lib/protocol';
import { textOf } from '../lib/ranking';
import type { Rows } from '../lib/rows';
import { parseRatio, tables, type Table } from '../lib/tables';

export interface Line {
  cell: (column: string) => Cell;
  /** Where the events behind a column are, as an address. */
  why: (column: string) => string;
}

export function linesOf(rows: Rows, project: string): Line[] {
  const { columns, key } = rows;
  return [...rows.values()].map((row) => {
    const cell = (column: string): Cell => row[columns.at(column)] ?? null;
    const named = Object.fromEntries(key.map((column) => [column, cell(column)]));
    return { cell, why: (column) => projectAddress(project, { column, key: named }) };
  });
}

/** The currency a line is in; empty where nothing says one yet. */
export function currencyOf(line: Line): string {
  return textOf(line.cell('currency'));
}

/** An amount; nothing where there is no line, or where it has more digits than there are. */
export function amountOf(line: Line | null, column: string): Decimal | null {
  const cell = line?.cell(column) ?? null;
  return cell === null ? null : decimalOf(cell);
}

/** A share of one, to its fourth place; nothing where there is nothing to share. */
export function ratioOf(line: Line | null, column: string): Decimal | null {
  const cell = line?.cell(column) ?? null;
  return cell === null ? null : parseRatio(String(cell));
}

/** One figure as the page lists it. */
export interface Fact {
  id: string;
  name: string;
  /** Nothing where it is not known. */
  value: Decimal | null;
  /** Where the events behind it are. */
  why: string;
  /** What share of another figure it is. */
  note?: string;
  /** The colour in which it is drawn beside the list. */
  mark?: 'accent' | 'bar' | 'bar-2';
  /** A share of one, and no amount. */
  isRatio?: boolean;
  /** What the others come to. */
  isSum?: boolean;
}

/** A name as the page lists it, with a note at its end. */
export interface Noted {
  id: string;
  name: string;
  note: string;
  tone: 'muted' | 'bad' | '';
  /** Where the events behind it are, if that is known. */
  why?: string;
}

export function factOf(line: Line | null, column: string, name: string): Fact {
  return { id: column, name, value: amountOf(line, column), why: line?.why(column) ?? '' };
}

/** Those whose column is largest first; equals stay in the order they came. */
export function byLargest(lines: readonly Line[], column: string): Line[] {
  return [...lines].sort((a, b) => Number(b.cell(column) ?? 0) - Number(a.cell(column) ?? 0));
}

/** Figures of the page by the table they stand in. No two of them have one name, so a column says which. */
const FIGURES: readonly [page: string, columns: readonly string[]][] = [
  ['projects', ['revenue', 'labour_cost', 'material_cost', 'expenses', 'profit', 'margin']],
  ['budgets', ['budget', 'spent', 'variance', 'used']],
  ['hours', ['hours', 'billable_hours']],
  ['invoices', ['balance']],
  ['compliance', ['failed_at']],
];

/** The table that a figure of the page stands in; none for what is no figure of it. */
export function tableOf(column: string): Table | undefined {
  const found = FIGURES.find(([, columns]) => columns.includes(column));
  return found && tables[found[0]];
}
