/** The messages of a live connection, as they come over the wire. */

export type Cell = string | number | boolean | null;
export type Row = readonly Cell[];

export interface Column {
  name: string;
  type: string;
}

/** A row that came (1) or went (−1). */
export type Change = readonly [number, Row];

export interface Problem {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
  /** Where in the SQL it is, both from 1; the column counts characters. */
  line?: number;
  column?: number;
  /** Which field of what was sent is meant, as `params[0].default`. */
  field?: string;
}

export type ServerMessage =
  | {
      type: 'snapshot'; id: string; position: string;
      columns: readonly Column[]; key: readonly string[]; rows: readonly Row[]; last?: boolean;
    }
  | { type: 'resumed'; id: string; position: string }
  | { type: 'delta'; id: string; position: string; changes: readonly Change[] }
  | { type: 'reset'; id: string; reason: string }
  | { type: 'error'; id?: string; problem: Problem }
  | { type: 'heartbeat'; position: string }
  /** There may be something new about alerts: read them. */
  | { type: 'alerts'; id: string }
  | { type: 'pong' };

/** What can be followed: a view, or some of its rows; or the answer to SQL, for those who may ask. */
export type Target =
  | { view: string; where?: Readonly<Record<string, Cell>> }
  | { sql: string };

export type SubscribeMessage = Target & {
  type: 'subscribe';
  id: string;
  resume?: string;
  max_rate_ms?: number;
};

/** Numbers with which the server ends a connection for good reasons of its own. */
export const CLOSE_TOKEN_REFUSED = 4002;
export const CLOSE_TOKEN_EXPIRED = 4003;

const TYPES = new Set([
  'snapshot', 'resumed', 'delta', 'reset', 'error', 'heartbeat', 'alerts', 'pong',
]);

/** Reads a message; null for a type that is newer than this page. Throws on what is no message. */
export function parseMessage(text: string): ServerMessage | null {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || !('type' in value)) {
    throw new TypeError('a message without a type');
  }
  return TYPES.has(String(value.type)) ? (value as ServerMessage) : null;
}
