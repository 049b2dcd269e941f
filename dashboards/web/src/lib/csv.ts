/** Rows as a CSV file, as the service writes one: RFC 4180, `\r\n`, guarded against formulas. */
import type { Cell, Column, Row } from './protocol';

/** Types whose cells are never taken for a formula: `-1` is a number. */
const PLAIN = new Set(['int', 'decimal', 'float', 'bool', 'date', 'timestamp']);

export function toCsv(columns: readonly Column[], rows: readonly Row[]): string {
  const lines = rows.map((row) => {
    const cells = columns.map(({ type }, i) => cellOf(row[i] ?? null, type));
    // An empty line is no row to most readers.
    return cells.length === 1 && cells[0] === '' ? '""' : cells.join(',');
  });
  return [columns.map(({ name }) => textOf(name)).join(','), ...lines].map((line) => `${line}\r\n`).join('');
}

export function csvFile(columns: readonly Column[], rows: readonly Row[]): Blob {
  return new Blob([toCsv(columns, rows)], { type: 'text/csv;charset=utf-8' });
}

function cellOf(cell: Cell, type: string): string {
  if (cell === null) return '';
  return PLAIN.has(type) ? quoted(String(cell)) : textOf(String(cell));
}

/** Text that a spreadsheet would take for a formula is prefixed; empty text is told apart from none. */
function textOf(text: string): string {
  if (text === '') return '""';
  return quoted(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
