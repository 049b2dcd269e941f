/** Which views there are, with their columns: filters narrow those that have theirs. */
import { call } from '../lib/api';
import type { Desk } from '../lib/desk.svelte';
import { problemOf } from '../lib/download.svelte';
import { Refused } from '../lib/live';
import type { Cell, Problem } from '../lib/protocol';
import { session } from '../lib/session.svelte';
import { texts } from '../lib/texts';
import { LANGUAGE } from '../lib/units';
import type { KnownView } from './source';

/** The most rows that are looked through for what a filter may be. */
const MOST_LOOKED_THROUGH = 2_000;

export class Views {
  /** By name; null while they are not known. */
  known = $state.raw<ReadonlyMap<string, KnownView> | null>(null);
  /** Those that were looked for, and are in no list that was read since. */
  absent = $state.raw<ReadonlySet<string>>(new Set());
  problem = $state.raw<Problem | null>(null);
  readonly #sought = new Set<string>();
  #loading: Promise<void> | null = null;
  #isAgain = false;

  constructor(private readonly token: string) {
    void this.load();
  }

  /** Reads the list; what asks while it is being read has one that is read after that. */
  async load(): Promise<void> {
    this.#isAgain = this.#loading !== null;
    this.#loading ??= this.#readAll();
    await this.#loading;
  }

  /** Looks for a view that is not known. Then it is, or it is among the absent, or there is a problem. */
  look(name: string): void {
    if (this.known?.has(name) || this.#sought.has(name)) return;
    this.#sought.add(name);
    void this.load();
  }

  async #readAll(): Promise<void> {
    try {
      do {
        this.#isAgain = false;
        await this.#read();
      } while (this.#isAgain);
    } finally {
      this.#loading = null;
    }
  }

  async #read(): Promise<void> {
    const sought = [...this.#sought];
    try {
      const { views } = (await (await call(this.token, '/v1/views')).json()) as { views: KnownView[] };
      const known = new Map(views.map((view) => [view.name, view]));
      for (const name of known.keys()) this.#sought.delete(name);
      [this.known, this.absent, this.problem] = [known, new Set(sought.filter((name) => !known.has(name))), null];
    } catch (error) {
      if (error instanceof Refused) session.signOut(texts.signIn[error.refusal]);
      else this.problem = problemOf(error);
    }
  }

  /** Some of the values that a column of a view has, in order; none where they cannot be read. */
  async valuesOf(view: string, column: string): Promise<string[]> {
    try {
      const path = `/v1/views/${encodeURIComponent(view)}?limit=${MOST_LOOKED_THROUGH}`;
      const answer = (await (await call(this.token, path)).json()) as { columns: { name: string }[]; rows: Cell[][] };
      const at = answer.columns.findIndex(({ name }) => name === column);
      const found = new Set(answer.rows.flatMap((row) => (row[at] === null || row[at] === undefined ? [] : String(row[at]))));
      return [...found].sort(new Intl.Collator(LANGUAGE, { numeric: true }).compare);
    } catch (error) {
      if (error instanceof Refused) session.signOut(texts.signIn[error.refusal]);
      // What can be chosen is a help alone: the value can be typed in.
      else problemOf(error);
      return [];
    }
  }
}

const held = new WeakMap<Desk, Views>();

/** The views of the one who is signed in, asked for once however many widgets there are. */
export function viewsOf(desk: Desk): Views {
  const known = held.get(desk) ?? new Views(desk.token);
  held.set(desk, known);
  return known;
}
