/** The events behind a figure, as they are listed and add up: exact, in hundred-millionths. */
import { parseDecimal, SCALE } from '../lib/decimal';
import * as format from '../lib/format';
import type { Cell, Column, Row } from '../lib/protocol';
import { Columns } from '../lib/rows';
import { cellText, columnLabel, isNumeric, kindOf, parseRatio, type Kind } from '../lib/tables';
import { words } from './words';

/** What `GET /v1/views/{name}/explain` answers. */
export interface Explanation {
  view: string;
  key: Readonly<Record<string, Cell>>;
  row: Readonly<Record<string, Cell>>;
  column: string;
  /** The figure, and what the events come to. */
  value: Cell;
  sum: Cell;
  rule: string;
  parts: readonly Part[];
  /** Events that count and are not listed, by module. */
  withheld: readonly Withheld[];
  columns: readonly Column[];
  rows: readonly Row[];
  /** Where more events begin. */
  next: string | null;
  position: string;
  as_of: string | null;
}

export interface Part {
  part: string;
  sum: Cell;
  events: number;
}

export interface Withheld {
  module: string;
  sum: Cell;
  events: number;
}

/** A number of hundred-millionths: amounts of events have up to eight places, as hours × rate. */
export type Exact = bigint;

const PLACES = 8;
const UNIT = 10n ** BigInt(PLACES);
const SHAPE = /^(-?)(\d+)(?:\.(\d{1,8})0*)?$/;
/** Half of the last place of a figure: what rounding one part can change. */
const HALF = 10n ** BigInt(PLACES - SCALE) / 2n;

/** One event in the list. */
export interface Line {
  /** What names it among the others. */
  id: string;
  what: string;
  /** Its numbers and days, in words. */
  about: string;
  /** When it happened, as an instant. */
  at: string;
  /** Nothing where the event states the figure and adds nothing. */
  amount: Exact | null;
  /** With all before it. */
  soFar: Exact;
}

/** What the list leaves to the figure. */
export interface Balance {
  /** Events after those that are listed, and what they come to; nothing if all are. */
  rest: { events: number; amount: Exact } | null;
  rounding: Exact;
  /** Whether the events come to the figure. */
  agrees: boolean;
}

/** Reads an amount; nothing counts as nothing. Throws on what is no amount. */
export function parseExact(cell: Cell | undefined): Exact {
  if (cell === null || cell === undefined) return 0n;
  const match = SHAPE.exec(String(cell));
  if (!match) throw new RangeError(`not an amount: ${JSON.stringify(cell)}`);
  const [, sign, whole, places = ''] = match;
  const magnitude = BigInt(whole + places.padEnd(PLACES, '0'));
  return sign === '-' ? -magnitude : magnitude;
}

/** An amount with all its places, money with two at least. */
export function amountText(amount: Exact, kind: Kind, isSigned = false): string {
  const magnitude = amount < 0n ? -amount : amount;
  const places = (magnitude % UNIT).toString().padStart(PLACES, '0').replace(/0+$/, '')
    .padEnd(kind === 'money' ? 2 : 0, '0');
  const sign = amount < 0n ? format.MINUS : isSigned && amount > 0n ? '+' : '';
  return sign + format.group((magnitude / UNIT).toString()) + format.fraction(places);
}

/** A cell with all its places, where a table rounds; instants on the clock of a zone. */
export function exactText(cell: Cell | undefined, kind: Kind, timezone?: string): string {
  if (cell === null || cell === undefined) return cellText(cell, kind);
  switch (kind) {
    case 'money': return format.money(parseDecimal(String(cell)));
    case 'hours': return format.quantity(parseDecimal(String(cell)));
    case 'percent': return format.percent(parseRatio(String(cell)), 2);
    default: return cellText(cell, kind, { timezone });
  }
}

/** How a figure reads, by what it is: an answer does not say of which type. */
export function figureKind(column: string, value: Cell): Kind {
  const type = typeof value === 'number' ? 'int' : typeof value === 'boolean' ? 'bool'
    : value !== null && /^-?\d+(\.\d+)?$/.test(value) ? 'decimal'
      : value !== null && /^\d{4}-\d{2}-\d{2}T\d/.test(value) ? 'timestamp' : 'text';
  return kindOf({ name: column, type });
}

/** Whether a column of rows with this key has figures that events are behind. */
export function isExplained(column: Column, key: readonly string[]): boolean {
  const kind = kindOf(column);
  return (isNumeric(kind) || kind === 'flag') && !key.includes(column.name);
}

/** Whether the figure is its parts added up, and so its events. */
export function isSum({ rule, parts }: Pick<Explanation, 'rule' | 'parts'>): boolean {
  return rule.split(/\s+/).every((word, at) =>
    at % 2 === 1 ? word === '+' || word === '-' : parts.some(({ part }) => part === word));
}

/** How the amounts of the events read; null where the figure is not made of amounts, as days late. */
export function amountKind(explanation: Explanation, figure: Kind): Kind | null {
  if (explanation.view === 'inventory_levels' || explanation.view === 'utilization') return 'quantity';
  if (isSum(explanation)) return figure;
  return figure === 'count' || figure === 'moment' ? null : 'money';
}

/** How the figure is made, in words; nothing where one kind of events is simply added up. */
export function ruleText(explanation: Explanation): string | null {
  const { rule, parts } = explanation;
  if (!isSum(explanation)) {
    return rule.startsWith('as stated in ') ? words.stated
      : (words.rules[rule] ?? format.capitalized(rule.replaceAll('_', ' ')));
  }
  if (parts.length < 2) return null;
  return rule.split(/\s+/).map((word, at) => {
    if (at % 2 === 1) return word === '-' ? format.MINUS : word;
    const label = partLabel(explanation.view, word);
    return at === 0 ? label : label.charAt(0).toLowerCase() + label.slice(1);
  }).join(' ');
}

export function partLabel(view: string, part: string): string {
  return words.parts[view]?.[part] ?? format.capitalized(part.replaceAll('_', ' '));
}

/** A row in words: its name if it has one, and its key. */
export function rowText(row: Readonly<Record<string, Cell>>, key: Readonly<Record<string, Cell>>): string {
  const named = [row['name'], ...Object.values(key), row['currency']];
  return [...new Set(named.flatMap((cell) => (cell === null || cell === undefined ? [] : String(cell))))].join(' · ');
}

export function lines(
  { columns: list, rows, key }: Pick<Explanation, 'columns' | 'rows' | 'key'>, timezone?: string,
): Line[] {
  const columns = new Columns(list);
  const fields = list.map((column, at) => ({ column, at })).slice(columns.at('amount') + 1);
  let soFar = 0n;
  return rows.map((row) => {
    const text = (name: string) => String(row[columns.at(name)] ?? '');
    const amount = row[columns.at('amount')] ?? null;
    soFar += parseExact(amount);
    return {
      id: ['part', 'type', 'event_id'].map(text).join(' '),
      what: typeText(text('type')),
      about: aboutText(text('subject'), fields.map(({ column, at }) => ({ column, cell: row[at] ?? null })), key, timezone),
      at: text('occurred_at'),
      amount: amount === null ? null : parseExact(amount),
      soFar,
    };
  });
}

/** What is missing between the listed events and the figure, and whether it may be. */
export function balance(explanation: Explanation): Balance {
  const { sum, value, parts, withheld, columns, rows, next } = explanation;
  const at = new Columns(columns).at('amount');
  const all = total(parts.map((part) => part.sum));
  const missing = all - total(rows.map((row) => row[at])) - total(withheld.map((module) => module.sum));
  const agrees = sum === value && (!isSum(explanation) || parseExact(sum) === all);
  if (next !== null) {
    const counted = (of: readonly { events: number }[]) => of.reduce((n, { events }) => n + events, 0);
    const events = counted(parts) - counted(withheld) - rows.length;
    return { rest: { events, amount: missing }, rounding: 0n, agrees };
  }
  const most = HALF * BigInt(parts.length);
  return { rest: null, rounding: missing, agrees: agrees && missing <= most && missing >= -most };
}

function total(amounts: readonly (Cell | undefined)[]): Exact {
  return amounts.reduce<Exact>((sum, amount) => sum + parseExact(amount), 0n);
}

function typeText(type: string): string {
  const known = words.types[type];
  return known ?? format.capitalized(type.slice(type.indexOf('.') + 1).replaceAll('_', ' '));
}

const FIELD_KINDS: Record<string, Kind> = { quantity: 'quantity', reorder_point: 'quantity' };
/** A number of the service's own for a day or a week. */
const UNREAD = new Set(['period']);

/** What an event says besides its amount, each thing once, and nothing that the key says. */
function aboutText(
  subject: string, fields: readonly { column: Column; cell: Cell }[], key: Readonly<Record<string, Cell>>,
  timezone: string | undefined,
): string {
  const said = new Set<Cell>([null, '']);
  const texts: string[] = [];
  for (const { column, cell } of [{ column: { name: 'reference', type: 'text' }, cell: subject }, ...fields]) {
    const { name, type } = column;
    // The same number or day may mean two things; the same name does not.
    if (said.has(cell) || UNREAD.has(name) || key[name] === cell) continue;
    if (type === 'text') said.add(cell);
    const value = exactText(cell, FIELD_KINDS[name] ?? kindOf(column), timezone);
    const label = words.fields[name] ?? columnLabel(name);
    texts.push(label === '' ? value : `${label} ${value}`);
  }
  return texts.join(' · ');
}
