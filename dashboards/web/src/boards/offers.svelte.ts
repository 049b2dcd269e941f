/** The dashboards that the one who is signed in is offered, and how many are left out. */
import { untrack } from 'svelte';
import type { Desk } from '../lib/desk.svelte';
import type { Problem } from '../lib/protocol';
import { attempt, Loaded } from '../reports/loaded.svelte';
import { readDashboard, readDashboards, type Head } from './api';
import { isOffered, mayMiss, showsOf, type Reader, type Shows } from './offered';
import { viewsOf, type Views } from './views.svelte';

/** How many documents are read at a time. */
const AT_ONCE = 4;

/** By id and version: what a document shows; null for one that could not be read. */
type Known = ReadonlyMap<string, Shows | null>;
const kept = new WeakMap<Desk, Known>();
const nameOf = ({ id, version }: Head) => `${id} ${version}`;

export class Offers {
  #known = $state.raw<Known>(new Map());
  readonly #all: Loaded<readonly Head[]>;
  readonly #views: Views;
  readonly #following: () => void;

  constructor(private readonly desk: Desk) {
    this.#known = new Map([...(kept.get(desk) ?? [])].filter(([, shows]) => shows !== null));
    this.#all = new Loaded(() => readDashboards(desk.token));
    this.#views = viewsOf(desk);
    this.#following = $effect.root(() => {
      $effect(() => {
        const heads = this.#all.value;
        if (heads === null || this.#reader === null || !mayMiss(this.#reader)) return;
        let isLeft = false;
        void untrack(() => this.#look(heads, () => isLeft));
        return () => {
          isLeft = true;
        };
      });
    });
  }

  /** All there are, offered or not. */
  get all(): readonly Head[] | null {
    return this.#all.value;
  }

  get problem(): Problem | null {
    return this.#all.problem ?? (this.#views.known === null ? this.#views.problem : null);
  }

  readonly #reader: Reader | null = $derived.by(() => {
    const [{ analyses }, { known }] = [this.desk, this.#views];
    return analyses === null || known === null ? null : { views: new Set(known.keys()), analyses };
  });

  /** Those that show this reader something; null while that is not known. */
  readonly list: readonly Head[] | null = $derived.by(() => {
    const [heads, reader, known] = [this.#all.value, this.#reader, this.#known];
    if (heads === null || reader === null) return null;
    if (!mayMiss(reader)) return heads;
    if (!heads.every((head) => known.has(nameOf(head)))) return null;
    return heads.filter((head) => {
      const shows = known.get(nameOf(head)) ?? null;
      // One that could not be read says why where it is opened.
      return shows === null || isOffered(shows, reader);
    });
  });

  /** How many are left out that the reader could bring back, by switching modules on. */
  readonly leftOut: number = $derived.by(() => {
    if (this.desk.administers !== true || this.list === null) return 0;
    return (this.#all.value?.length ?? 0) - this.list.length;
  });

  load(): Promise<void> {
    if (this.#views.problem) void this.#views.load();
    return this.#all.load();
  }

  close(): void {
    this.#following();
  }

  /** Looks into those that were not looked into, a few at a time. */
  async #look(heads: readonly Head[], isLeft: () => boolean): Promise<void> {
    const missing = heads.filter((head) => !this.#known.has(nameOf(head)));
    const next = async (): Promise<void> => {
      for (let head = missing.shift(); head !== undefined && !isLeft(); head = missing.shift()) {
        const { id } = head;
        const result = await attempt(() => readDashboard(this.desk.token, id));
        if (result === null || isLeft()) return;
        const shows = 'value' in result ? showsOf(result.value.document) : null;
        this.#known = new Map([...this.#known, [nameOf(head), shows]]);
        kept.set(this.desk, this.#known);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, next));
  }
}
