/** Rows as a table shows them: filtered, sorted, added up. */
import type { Decimal } from './decimal';
import { wordsOf } from './filter';
import { decimalOf } from './folds';
import type { Cell, Column, Row } from './protocol';
import type { Rows } from './rows';
import { cellText, kindOf, sortKey, type Kind } from './tables';
import { LANGUAGE } from './units';

export interface ListColumn extends Column {
  index: number;
  kind: Kind;
  /** Where the currency of its row stands; -1 where rows name none. */
  currencyAt: number;
}

/** What the cells of rows are read with. */
export interface Firm {
  timezone?: string | undefined;
  /** The currency of amounts in rows that name none. */
  currency?: string | undefined;
}

/** The currency of the amounts in a row. */
export function currencyIn(row: Row, { currencyAt }: ListColumn, { currency }: Firm): Cell | undefined {
  return currencyAt < 0 ? currency : row[currencyAt];
}

/** A cell as it is read: an amount with the places of its row's currency, an instant on the firm's clock. */
export function rowText(row: Row, column: ListColumn, firm: Firm): string {
  const currency = currencyIn(row, column, firm);
  return cellText(row[column.index], column.kind, { currency, timezone: firm.timezone });
}

export interface Order {
  column: string;
  descending: boolean;
}

/** What the filter searches in a row, worked out once for each. */
const searchable = new WeakMap<Row, string>();

/** The columns with how they read, those that lead first. */
export function listColumns(columns: readonly Column[], leading: readonly string[] = []): ListColumn[] {
  const currencyAt = columns.findIndex(({ name }) => name === 'currency');
  const list = columns.map((column, index) => ({ ...column, index, kind: kindOf(column), currencyAt }));
  const place = (column: ListColumn) => {
    const at = leading.indexOf(column.name);
    return at < 0 ? leading.length + column.index : at;
  };
  return list.sort((a, b) => place(a) - place(b));
}

/** The rows whose cells contain every word of the filter, in any case. */
export function filterRows(rows: Rows, columns: readonly ListColumn[], filter: string, firm: Firm = {}): Row[] {
  const words = wordsOf(filter);
  if (words.length === 0) return [...rows.values()];
  const kept: Row[] = [];
  for (const row of rows.values()) {
    let text = searchable.get(row);
    if (text === undefined) {
      // The figure as written and as it came, so that both 1,234 and 1234 find it.
      text = columns.map((c) => `${rowText(row, c, firm)} ${String(row[c.index] ?? '')}`)
        .join('\n').toLowerCase();
      searchable.set(row, text);
    }
    if (words.every((word) => text.includes(word))) kept.push(row);
  }
  return kept;
}

/** Sorted by a column; what is not known comes last, and equals stay in the order of their keys. */
export function sortRows(rows: readonly Row[], columns: readonly ListColumn[], order: Order): Row[] {
  const column = columns.find((c) => c.name === order.column);
  if (!column) return [...rows];
  const collator = new Intl.Collator(LANGUAGE, { numeric: true });
  const sign = order.descending ? -1 : 1;
  const keyed = rows.map((row) => ({ row, key: sortKey(row[column.index], column.kind) }));
  keyed.sort((a, b) => {
    if (a.key === null || b.key === null) return Number(a.key === null) - Number(b.key === null);
    if (typeof a.key === 'string' && typeof b.key === 'string') {
      return sign * collator.compare(a.key, b.key);
    }
    return a.key < b.key ? -sign : a.key > b.key ? sign : 0;
  });
  return keyed.map((entry) => entry.row);
}

/** The sums of some columns, or nothing where amounts of several currencies would meet. */
export function totals(
  rows: readonly Row[], columns: readonly ListColumn[], wanted: readonly string[],
): Map<string, Decimal> {
  const sums = new Map<string, Decimal>();
  const currency = columns.find((c) => c.name === 'currency');
  const [first] = rows;
  if (!first || wanted.length === 0) return sums;
  if (currency && rows.some((row) => row[currency.index] !== first[currency.index])) return sums;
  for (const column of columns) {
    if (!wanted.includes(column.name)) continue;
    sums.set(column.name, rows.reduce((sum, row) => sum + decimalOf(row[column.index]), 0n));
  }
  return sums;
}

/** A sum as its column reads, in the one currency of its rows. */
export function totalText(sum: Decimal, column: ListColumn, currency?: Cell): string {
  const whole = column.kind === 'count' ? sum / 10_000n : null;
  const text = whole === null ? decimalText(sum) : whole.toString();
  return cellText(text, column.kind, { currency });
}

function decimalText(value: Decimal): string {
  const magnitude = value < 0n ? -value : value;
  const places = (magnitude % 10_000n).toString().padStart(4, '0');
  return `${value < 0n ? '-' : ''}${magnitude / 10_000n}.${places}`;
}
