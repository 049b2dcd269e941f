/** What a widget follows: its view or its SQL, narrowed to the values of the dashboard's filters. */
import type { Cell, Target } from '../lib/protocol';
import { beginningOf } from '../lib/zone';
import { withParameters } from '../sql/parameters';
import { dayOf } from './dates';
import type { Filter, Param, Source } from './document';
import type { FilterValues } from './filters';

/** A view as far as widgets need to know it. */
export interface KnownView {
  name: string;
  columns: readonly { name: string; type: string }[];
  /** Whether the tenant has defined it: then nobody but its SQL says what is behind a figure. */
  own: boolean;
}

export interface Wanted {
  target: Target;
  /** Two conditions that no row can meet at once: there is nothing to follow. */
  isNothing: boolean;
}

/** The day on which words for dates are read, and where it begins. */
export interface Now {
  today: string;
  timezone: string;
}

const isWords = (value: Cell | undefined): value is string => typeof value === 'string' && value.startsWith('{{');

/** Whether the values say something that only a day tells. */
export function needsDay(filters: readonly Filter[], values: FilterValues): boolean {
  return filters.some(({ id }) => isWords(values[id]));
}

/** What the filters are about for a widget: their values with words for dates read. */
export function read(filters: readonly Filter[], values: FilterValues, now: Now): FilterValues {
  return Object.fromEntries(filters.map((filter): [string, Cell] => [filter.id, readOne(filter, values[filter.id] ?? null, now)]));
}

function readOne(filter: Filter, value: Cell, { today, timezone }: Now): Cell {
  if (!isWords(value)) return value;
  const day = dayOf(value, today);
  // Days begin where the firm is.
  return filter.type === 'timestamp' && day !== null ? beginningOf(day, timezone) : day;
}

/**
 * What a source asks for. `view` is the view that it names, with its columns; a filter narrows it where it has
 * the filter's column. One that is not known is narrowed by all: it may be refused, and never shows too much.
 */
export function wanted(
  source: Source, view: KnownView | undefined, filters: readonly Filter[], values: FilterValues,
): Wanted {
  if ('sql' in source) {
    const literals = (source.params ?? []).map((param) => literalOf(param, filters, values));
    return { target: { sql: withParameters(source.sql, literals) }, isNothing: false };
  }
  const where: Record<string, Cell> = { ...source.where };
  let isNothing = false;
  for (const filter of filters) {
    const value = values[filter.id] ?? null;
    const { column } = filter;
    if (value === null || column === undefined) continue;
    if (view !== undefined && !view.columns.some(({ name }) => name === column)) continue;
    isNothing ||= column in where && String(where[column]) !== String(value);
    where[column] = value;
  }
  return { target: Object.keys(where).length === 0 ? { view: source.view } : { view: source.view, where }, isNothing };
}

/** Whether some of the filters have a value that may narrow a view, so that its columns must be known. */
export function narrows(filters: readonly Filter[], values: FilterValues): boolean {
  return filters.some(({ id, column }) => column !== undefined && (values[id] ?? null) !== null);
}

function literalOf(param: Param, filters: readonly Filter[], values: FilterValues): string {
  if ('value' in param) return literal(param.value);
  const value = values[param.filter] ?? null;
  const type = filters.find(({ id }) => id === param.filter)?.type;
  if (value === null) return 'NULL';
  switch (type) {
    case 'date': return `DATE ${quoted(String(value))}`;
    case 'timestamp': return `TIMESTAMP ${quoted(String(value))}`;
    case 'decimal': return /^-?\d+(\.\d+)?$/.test(String(value)) ? number(String(value)) : 'NULL';
    default: return literal(value);
  }
}

/**
 * A value as SQL: what is followed has no parameters, so values are written into it. It only reads, with
 * the rights of the one who reads.
 */
export function literal(value: Cell): string {
  if (value === null) return 'NULL';
  if (typeof value === 'boolean') return value ? 'TRUE' : 'FALSE';
  return typeof value === 'number' ? number(String(value)) : quoted(value);
}

/** In brackets where it has a sign, since two of them would begin a comment. */
const number = (text: string) => (text.startsWith('-') ? `(${text})` : text);

const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;
