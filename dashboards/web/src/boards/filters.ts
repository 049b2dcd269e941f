/**
 * Values of a dashboard's filters: in the address, so that a link leads to what is seen, and as what
 * rows are narrowed to.
 */
import type { Cell } from '../lib/protocol';
import { dayOf } from './dates';
import type { Filter } from './document';

/** The value of each filter by its id; null narrows nothing. */
export type FilterValues = Readonly<Record<string, Cell>>;

/** Before a filter's id in the address; a dot is in no id, so nothing else of the address is meant. */
export const IN_ADDRESS = 'f.';

/** The values that the address states, and the defaults of the others. */
export function valuesOf(filters: readonly Filter[], query: Readonly<Record<string, string>>): FilterValues {
  return Object.fromEntries(filters.map((filter): [string, Cell] => {
    const stated = query[IN_ADDRESS + filter.id];
    return [filter.id, stated === undefined ? filter.default ?? null : readValue(filter, stated)];
  }));
}

/** What the address says of the values: nothing of those that are as by default. */
export function addressOf(filters: readonly Filter[], values: FilterValues): Record<string, string> {
  return Object.fromEntries(filters.flatMap((filter): [string, string][] => {
    const value = values[filter.id] ?? null;
    if (value === (filter.default ?? null)) return [];
    return [[IN_ADDRESS + filter.id, value === null ? '' : String(value)]];
  }));
}

/** What a text stands for as the filter's value; null for nothing, and for what cannot be one. */
export function readValue(filter: Filter, text: string): Cell {
  const typed = text.trim();
  if (typed === '' || !isValue(filter, typed)) return null;
  switch (filter.type) {
    case 'int': return Number(typed);
    case 'bool': return typed === 'true';
    default: return typed;
  }
}

const SHAPES: Record<Exclude<Filter['type'], 'text'>, RegExp> = {
  int: /^-?\d{1,15}$/,
  decimal: /^-?\d{1,34}(\.\d{1,4})?$/,
  date: /^\d{4}-\d{2}-\d{2}$/,
  timestamp: /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/,
  bool: /^(true|false)$/,
};

/** Any day, to see whether words name one. */
const SOME_DAY = '2000-01-01';

/** Whether a text is a value of the filter; words for dates are those that name a day. */
export function isValue({ type }: Filter, text: string): boolean {
  if (type === 'text') return true;
  const typed = text.trim();
  if (typed.startsWith('{{')) return (type === 'date' || type === 'timestamp') && dayOf(typed, SOME_DAY) !== null;
  return SHAPES[type].test(typed);
}
