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
  problem = $state.raw<Problem | null>(null);

  constructor(private readonly token: string) {
    void this.load();
  }

  async load(): Promise<void> {
    try {
      const { views } = (await (await call(this.token, '/v1/views')).json()) as { views: KnownView[] };
      this.known = new Map(views.map((view) => [view.name, view]));
      this.problem = null;
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
