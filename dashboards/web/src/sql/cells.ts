/** Cells of any query: how they read, how they compare, what is copied of them. */
import { fraction, group, MINUS } from '../lib/format';
import type { Cell, Column, Row } from '../lib/protocol';
import { isNumberType as isNumber } from '../lib/tables';
import { LANGUAGE } from '../lib/units';

export { isNumber };

const PLAIN = /^(-?)(\d+)(?:\.(\d+))?$/;

/** Numbers with their digits in groups and all their places; all else as it came. */
export function cellText(cell: Cell | undefined, type: string): string {
  if (cell === null || cell === undefined) return 'null';
  const text = String(cell);
  const parts = isNumber(type) ? PLAIN.exec(text) : null;
  if (!parts) return text;
  const [, sign, whole = '', places = ''] = parts;
  return (sign === '' ? '' : MINUS) + group(whole) + fraction(places);
}

/** A cell as it is copied: what came, without groups; nothing for null. */
export function cellSource(cell: Cell | undefined): string {
  return cell === null || cell === undefined ? '' : String(cell);
}

/** Rows as spreadsheets take them from the clipboard: tabs between cells, a line a row. */
export function asTabs(columns: readonly Column[], rows: readonly Row[]): string {
  const plain = (text: string) => (/[\t\n\r"]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = rows.map((row) => columns.map((_, i) => plain(cellSource(row[i]))).join('\t'));
  return [columns.map(({ name }) => plain(name)).join('\t'), ...lines].join('\n');
}

type Key = bigint | number | string | boolean | null;

/** Decimals as whole numbers of the column's smallest places, so that they compare exactly. */
function keysOf(rows: readonly Row[], at: number, type: string): Key[] {
  const cells = rows.map((row) => row[at] ?? null);
  if (type !== 'int' && type !== 'decimal') return cells;
  const placesOf = (cell: Cell) => String(cell).split('.')[1]?.length ?? 0;
  const places = cells.reduce<number>((most, cell) => Math.max(most, cell === null ? 0 : placesOf(cell)), 0);
  return cells.map((cell) => {
    if (cell === null || !PLAIN.test(String(cell))) return cell;
    const [whole = '', part = ''] = String(cell).split('.');
    return BigInt(whole + part.padEnd(places, '0'));
  });
}

export interface Order {
  column: number;
  descending: boolean;
}

/** The rows by one column, equals as they came, null last of all. */
export function sorted(rows: readonly Row[], columns: readonly Column[], order: Order | null): readonly Row[] {
  const column = order ? columns[order.column] : undefined;
  if (!order || !column) return rows;
  const sign = order.descending ? -1 : 1;
  const collator = new Intl.Collator(LANGUAGE, { numeric: true });
  const keys = keysOf(rows, order.column, column.type);
  const places = rows.map((_, i) => i);
  places.sort((x, y) => {
    const [a, b] = [keys[x] ?? null, keys[y] ?? null];
    if (a === null || b === null) return Number(a === null) - Number(b === null);
    if (typeof a === 'string' && typeof b === 'string' && column.type === 'text') {
      return sign * collator.compare(a, b);
    }
    return a < b ? -sign : a > b ? sign : 0;
  });
  return places.map((place) => rows[place] ?? []);
}

const CHARACTER = 7.8;
const AROUND = 26;

/** The width of each column in pixels, by its name and its first rows. */
export function widths(columns: readonly Column[], rows: readonly Row[]): number[] {
  const seen = rows.slice(0, 200);
  return columns.map(({ name, type }, i) => {
    const longest = seen.reduce((most, row) => Math.max(most, cellText(row[i], type).length), name.length + 2);
    return Math.round(Math.min(360, Math.max(64, longest * CHARACTER + AROUND)));
  });
}
