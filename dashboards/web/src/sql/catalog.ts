/** What a query can read: views and events, with their columns. */
import { call } from '../lib/api';
import { hasAll, wordsOf } from '../lib/filter';
import type { Cell } from '../lib/protocol';
import { LANGUAGE } from '../lib/units';

export interface Relation {
  /** `public` for views, `events` for events. */
  schema: string;
  name: string;
  columns: { name: string; type: string }[];
  /** Of a view: its rows, whether it can be read, whether the tenant defined it. */
  rows: number | null;
  state: string | null;
  isOwn: boolean;
}

const COLUMNS = `SELECT table_schema, table_name, column_name, data_type
FROM information_schema.columns ORDER BY table_schema, table_name, ordinal_position`;

interface ListedView {
  name: string;
  row_count: number;
  state: string;
  own: boolean;
  columns: { name: string; type: string }[];
}

/** The service itself says what is in reach, so nothing is offered that a query could not read. */
export async function readCatalog(token: string): Promise<Relation[]> {
  const body = JSON.stringify({ sql: COLUMNS });
  const init = { method: 'POST', body, headers: { 'Content-Type': 'application/json' } };
  const [columns, views] = await Promise.all([
    call(token, '/v1/query', init).then((answer) => answer.json() as Promise<{ rows: Cell[][] }>),
    call(token, '/v1/views').then((answer) => answer.json() as Promise<{ views: ListedView[] }>),
  ]);
  return relations(columns.rows, views.views);
}

export function relations(columns: readonly (readonly Cell[])[], views: readonly ListedView[]): Relation[] {
  const found = new Map<string, Relation>();
  const at = (schema: string, name: string): Relation => {
    const key = `${schema}.${name}`;
    const known = found.get(key) ?? { schema, name, columns: [], rows: null, state: null, isOwn: false };
    found.set(key, known);
    return known;
  };
  for (const [schema, table, name, type] of columns) {
    at(String(schema), String(table)).columns.push({ name: String(name), type: String(type) });
  }
  for (const view of views) {
    const relation = at('public', view.name);
    // One that is being filled cannot be asked yet, but it is there.
    if (relation.columns.length === 0) relation.columns = [...view.columns];
    [relation.rows, relation.state, relation.isOwn] = [view.row_count, view.state, view.own];
  }
  const all = [...found.values()].filter(({ schema }) => schema !== 'information_schema');
  return all.sort((a, b) => b.schema.localeCompare(a.schema, LANGUAGE) || a.name.localeCompare(b.name, LANGUAGE));
}

const BARE = /^[a-z_][a-z0-9_]*$/;

/** A name as SQL wants it. */
export function quoted(name: string): string {
  return BARE.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

export function fullName(relation: Relation): string {
  const name = quoted(relation.name);
  return relation.schema === 'public' ? name : `${quoted(relation.schema)}.${name}`;
}

/** Those in whose name or columns every word is found. */
export function matching(all: readonly Relation[], filter: string): readonly Relation[] {
  const wanted = wordsOf(filter);
  if (wanted.length === 0) return all;
  return all.filter(({ schema, name, columns }) =>
    hasAll([schema, name, ...columns.map((column) => column.name)].join(' '), wanted));
}
