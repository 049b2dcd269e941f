/** The overview as the service answers it, and how it is put in order. */
import { hasAll, wordsOf } from '../lib/filter';
import { LANGUAGE } from '../lib/units';
import { words } from './words';

export interface Line {
  id: string;
  name: string;
  state: string;
  node: string | null;
  events: number;
  events_per_second: number;
  lag: number;
  newest_event: string | null;
  views: number;
  filling: number;
  failed_views: string[];
  dead_letters: number;
  memory_bytes: number;
  history_bytes: number;
}

export interface Overview {
  at: string;
  totals: {
    tenants: number;
    events: number;
    events_per_second: number;
    lag: number;
    failed: number;
    dead_letters: number;
    memory_bytes: number;
    history_bytes: number;
  };
  nodes: { address: string; reachable: boolean; tenants: number }[];
  tenants: Line[];
}

/** The service does not take the token. */
export class Refused extends Error {}

export async function readOverview(token: string): Promise<Overview> {
  const response = await fetch('/v1/platform/overview', {
    headers: { Authorization: `Bearer ${token}` },
    cache: 'no-store',
    signal: AbortSignal.timeout(20_000),
  });
  if (response.status === 401 || response.status === 403) throw new Refused(words.signIn.refused);
  if (!response.ok) throw new Error(`the service answers ${response.status}`);
  return (await response.json()) as Overview;
}

export type Column =
  | 'id' | 'state' | 'events_per_second' | 'events' | 'lag' | 'newest_event' | 'errors'
  | 'dead_letters' | 'memory_bytes' | 'history_bytes' | 'node';

export interface Order {
  column: Column;
  descending: boolean;
}

/** What needs a person first. */
const URGENCY = ['failed', 'unserved', 'onboarding', 'filling', 'deleting', 'live'];

function key(line: Line, column: Column): string | number {
  switch (column) {
    case 'state': return URGENCY.indexOf(line.state);
    case 'errors': return line.failed_views.length;
    case 'node': return line.node ?? '';
    case 'newest_event': return line.newest_event ?? '';
    default: return line[column];
  }
}

/** The lines in order; equal ones by id. */
export function sorted(lines: readonly Line[], { column, descending }: Order): Line[] {
  const sign = descending ? -1 : 1;
  return [...lines].sort((a, b) => {
    const [x, y] = [key(a, column), key(b, column)];
    if (x !== y) return x < y ? -sign : sign;
    return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
  });
}

/** Those in which every word of the filter is found. */
export function filtered(lines: readonly Line[], filter: string): readonly Line[] {
  const wanted = wordsOf(filter);
  if (wanted.length === 0) return lines;
  return lines.filter((line) => {
    const state = words.states[line.state] ?? line.state;
    return hasAll(`${line.id} ${line.name} ${state} ${line.node ?? ''}`, wanted);
  });
}

/** A rate with as many places as say something. */
export function rate(value: number): string {
  if (value === 0) return '0';
  if (value < 0.01) return '<0.01';
  if (value >= 100) return Math.round(value).toLocaleString(LANGUAGE);
  return value.toFixed(value < 10 ? 2 : 1);
}
