/**
 * Places within the page, as the address names them: `/customers?currency=GBP` are rows, and with
 * `why=total&of={"customer_id":"C7","currency":"GBP"}` the events behind one figure of them.
 * `/projects/P1` is the page of one project.
 */
import type { Cell } from './protocol';

/** A figure: a column of the row with this key. */
export interface Why {
  column: string;
  /** Column → value; a null is a value like any other. */
  key: Readonly<Record<string, Cell>>;
}

export interface Place {
  /** The name in the address, `invoices` or `projects/P1`; empty for the overview. */
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
    page: decoded(path.replace(/^\/+|\/+$/g, '')),
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
  return text === '' ? `/${pathOf(page)}` : `/${pathOf(page)}?${text}`;
}

const PROJECT = 'projects/';

/** Where one project has its page, or the events behind a figure of it. */
export function projectAddress(id: string, why: Why | null = null): string {
  return address(`${PROJECT}${id}`, {}, why);
}

/** The project whose page it is; null for every other page. */
export function projectOf(page: string): string | null {
  return page.startsWith(PROJECT) && page.length > PROJECT.length ? page.slice(PROJECT.length) : null;
}

/** An id may have any letters: slashes, and points, which the service would take for those of a file. */
function pathOf(page: string): string {
  const project = projectOf(page);
  return project === null ? page : `${PROJECT}${encodeURIComponent(project).replaceAll('.', '%2E')}`;
}

/** A path as it is meant; as it stands where somebody has typed what means nothing. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch (error) {
    if (error instanceof URIError) return path;
    throw error;
  }
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
