/**
 * The values of an alert as they are read: amounts with their currency, days and moments of the firm.
 * What the service says of it in messages follows the same rules (src/alerts/words.rs).
 */
import { round, SCALE } from '../lib/decimal';
import * as format from '../lib/format';
import { parseRatio } from '../lib/tables';
import { texts } from '../lib/texts';
import type { Alert } from './api';
import { words } from './words';

/** Columns of decimals that are no amounts of money, … */
const PLAIN = new Set(['hours', 'billable_hours', 'capacity', 'on_hand', 'reorder_point', 'quantity']);
/** … and those that are shares of one. */
const SHARES = new Set(['margin', 'used', 'utilization']);
/** The places that amounts have; what has others was divided, and may be no amount. */
const MONEY_PLACES = 4;

const buckets: Record<string, string> = texts.aging.buckets;

/** What an alert is about, or what else was so when it fired: `Project P1 · Spent 620.40 EUR`. */
export function inWords(alert: Alert, part: 'subject' | 'details', timezone: string): string {
  const row = alert[part];
  const known = alert.columns.filter(({ name }) => Object.hasOwn(row, name));
  const names = new Set(known.map(({ name }) => name));
  // Of an alert that fired before its columns were kept.
  const others = Object.keys(row).filter((name) => !names.has(name)).map((name) => ({ name, type: '' }));
  const currency = alert.subject['currency'] ?? alert.details['currency'];
  return [...known, ...others]
    .filter(({ name }) => row[name] !== null)
    .map(({ name, type }) => `${label(name)} ${valueText(name, type, row[name], currency, timezone)}`)
    .join(' · ');
}

function label(name: string): string {
  const known = [words.columns, texts.rows.columns].find((columns) => Object.hasOwn(columns, name));
  return known?.[name] ?? name.replace(/(.)_id$/, '$1').replaceAll('_', ' ');
}

function valueText(name: string, type: string, value: unknown, currency: unknown, timezone: string): string {
  if (typeof value === 'boolean') return value ? words.yes : words.no;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return format.count(value);
  if (typeof value !== 'string') return JSON.stringify(value);
  switch (type) {
    case 'decimal': return decimalText(name, value, currency);
    case 'date': return format.day(value);
    case 'timestamp': return format.moment(value, timezone);
    default: return name === 'bucket' && Object.hasOwn(buckets, value) ? buckets[value] ?? value : value;
  }
}

function decimalText(name: string, text: string, currency: unknown): string {
  const shape = /^-?\d+(?:\.(\d+))?$/.exec(text);
  if (!shape) return text;
  const value = parseRatio(text);
  if (SHARES.has(name)) return format.share(value, { places: 2, trim: true });
  const isMoney = shape[1]?.length === MONEY_PLACES && !PLAIN.has(name);
  if (!isMoney || typeof currency !== 'string') return format.quantity(value);
  const places = [2, 3].find((count) => round(value, count) === value) ?? SCALE;
  return `${format.figure(value, { places })} ${currency}`;
}
