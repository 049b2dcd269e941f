/** The way from a figure to its rows, as an address: which widget's rows are open, and which of them. */
import type { Cell } from '../lib/protocol';
import type { Pick } from './drawing';
import { IN_ADDRESS } from './filters';
import type { Wanted } from './source';

/** Names in the address beside those of filters. */
const ROWS = 'rows';
const PICK = 'pick';

type Query = Readonly<Record<string, string>>;

export interface Opened {
  /** The widget whose rows they are. */
  widget: string;
  pick: Pick;
}

/** The query of an address at which the rows behind a figure are open. */
export function withRows(query: Query, widget: string, pick: Pick | null): Record<string, string> {
  const picked: Record<string, string> = pick === null || Object.keys(pick).length === 0 ? {} : { [PICK]: JSON.stringify(pick) };
  return { ...withoutRows(query), [ROWS]: widget, ...picked };
}

/** The same without open rows. */
export function withoutRows(query: Query): Record<string, string> {
  return Object.fromEntries(Object.entries(query).filter(([name]) => name !== ROWS && name !== PICK));
}

/** What the rows behind a figure are limited to; nothing where what is asked for contradicts itself. */
export function limitsOf({ target, isNothing }: Wanted, pick: Pick): { where: Record<string, Cell>; isNothing: boolean } {
  return { where: 'view' in target ? { ...target.where, ...pick } : { ...pick }, isNothing };
}

/** The query with other values of filters. */
export function withFilters(query: Query, values: Query): Record<string, string> {
  const others = Object.entries(query).filter(([name]) => !name.startsWith(IN_ADDRESS));
  return { ...Object.fromEntries(others), ...values };
}

/** Which rows an address says are open; a pick that cannot be read, as of a link cut off, is none. */
export function openedRows(query: Query): Opened | null {
  const widget = query[ROWS];
  return widget === undefined ? null : { widget, pick: readPick(query[PICK]) };
}

function readPick(text: string | undefined): Pick {
  try {
    const pick: unknown = JSON.parse(text ?? '{}');
    if (typeof pick !== 'object' || pick === null || Array.isArray(pick)) return {};
    return Object.fromEntries(Object.entries(pick).filter((entry): entry is [string, Cell] => isCell(entry[1])));
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}

function isCell(value: unknown): value is Cell {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value);
}
