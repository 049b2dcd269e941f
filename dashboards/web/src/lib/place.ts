/**
 * Places within the page, as the address names them: `/customers?currency=GBP` are rows, and with
 * `why=total&of={"customer_id":"C7","currency":"GBP"}` the events behind one figure of them.
 */
import type { Cell } from './protocol';

/** A figure: a column of the row with this key. */
export interface Why {
  column: string;
  /** Column → value; a null is a value like any other. */
  key: Readonly<Record<string, Cell>>;
}

export interface Place {
  /** The name in the address, `invoices`; empty for the overview. */
  page: string;
  /** Column → value that the rows are limited to. */
  where: Record<string, string>;
  /** The figure that is explained. */
  why: Why | null;
}

export function placeOf(path: string, search: string): Place {
  const { why: column, of, ...where } = Object.fromEntries(new URLSearchParams(search));
  const key = readKey(of);
  return {
    page: decodeURIComponent(path.replace(/^\/+|\/+$/g, '')),
    where,
    why: column !== undefined && key !== null ? { column, key } : null,
  };
}

export function address(page: string, where: Readonly<Record<string, Cell>> = {}, why: Why | null = null): string {
  const query = new URLSearchParams();
  for (const [column, value] of Object.entries(where)) query.set(column, String(value ?? ''));
  if (why) {
    query.set('why', why.column);
    query.set('of', JSON.stringify(why.key));
  }
  const text = query.toString();
  return text === '' ? `/${page}` : `/${page}?${text}`;
}

/** The key of a row; null for what is none, such as a link that was cut off: it leads to the rows. */
function readKey(text: string | undefined): Record<string, Cell> | null {
  try {
    const key: unknown = JSON.parse(text ?? 'null');
    return typeof key === 'object' && !Array.isArray(key) ? (key as Record<string, Cell> | null) : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
