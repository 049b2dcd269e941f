/** Whose rows a widget can show: the views with their columns, and what SQL would give. */
import { call } from '../../lib/api';
import type { Desk } from '../../lib/desk.svelte';
import type { Column, Problem } from '../../lib/protocol';
import { LANGUAGE } from '../../lib/units';
import { attempt } from '../../reports/loaded.svelte';
import { readCatalog, type Relation } from '../../sql/catalog';
import type { Source } from '../document';
import type { KnownView } from '../source';
import { viewsOf, type Views } from '../views.svelte';

/** What the service says of a query without running it. */
export interface Description {
  columns: readonly Column[];
  /** Why it cannot be asked. */
  problem: Problem | null;
}

/** Descriptions that are remembered. */
const MOST_KNOWN = 50;

export class Sources {
  /** What SQL can be completed with; read when somebody writes some. */
  relations = $state.raw<readonly Relation[] | null>(null);
  #known = $state.raw<ReadonlyMap<string, Description>>(new Map());
  readonly #asked = new Set<string>();
  readonly #token: string;
  readonly #views: Views;

  constructor(desk: Desk) {
    this.#token = desk.token;
    this.#views = viewsOf(desk);
  }

  /** By name; null while they are not known. */
  get views(): readonly KnownView[] | null {
    const { known } = this.#views;
    return known === null ? null : [...known.values()].sort((a, b) => a.name.localeCompare(b.name, LANGUAGE));
  }

  get problem(): Problem | null {
    return this.#views.problem;
  }

  read(): Promise<void> {
    return this.#views.load();
  }

  async readRelations(): Promise<void> {
    if (this.relations !== null) return;
    const result = await attempt(() => readCatalog(this.#token));
    // Without it SQL is written all the same, and not completed.
    this.relations = result !== null && 'value' in result ? result.value : [];
  }

  /** The columns of a source; null while they are not known. */
  columnsOf(source: Source | undefined): readonly Column[] | null {
    if (source === undefined) return [];
    if ('sql' in source) return this.#known.get(source.sql)?.columns ?? null;
    return this.#views.known?.get(source.view)?.columns ?? null;
  }

  /** Why SQL cannot be asked, where that is known. */
  problemOf(sql: string): Problem | null {
    return this.#known.get(sql)?.problem ?? null;
  }

  /** Asks once for each query what it gives. */
  async describe(sql: string): Promise<readonly Column[] | null> {
    const known = this.#known.get(sql);
    if (known) return known.columns;
    if (sql.trim() === '' || this.#asked.has(sql)) return null;
    this.#asked.add(sql);
    const result = await attempt(async () => {
      const body = JSON.stringify({ sql, describe: true });
      const init = { method: 'POST', body, headers: { 'Content-Type': 'application/json' } };
      return (await call(this.#token, '/v1/query', init)).json() as Promise<{ columns: Column[] }>;
    });
    this.#asked.delete(sql);
    if (result === null) return null;
    const described = 'value' in result
      ? { columns: result.value.columns.map(({ name, type }) => ({ name, type })), problem: null }
      : { columns: [], problem: result.problem };
    const others = [...this.#known].filter(([one]) => one !== sql).slice(1 - MOST_KNOWN);
    this.#known = new Map([...others, [sql, described]]);
    return described.columns;
  }

  /** Forgets what went wrong with a query, so that it is asked about again. */
  again(sql: string): void {
    this.#known = new Map([...this.#known].filter(([one]) => one !== sql));
    void this.describe(sql);
  }
}
