/**
 * The rows of one subscription, kept by key, and sums over them. Where there is no key, as in the
 * answer to SQL, a row may be there several times.
 *
 * Invariant: between two messages the rows are exactly those of the view or answer at `position`. A
 * message that does not fit what is held (a row removed that is not there, or one of a key added
 * twice) throws `Diverged`, and the holder must ask for a fresh snapshot: better a moment of old
 * figures than a wrong one.
 */
import type { Cell, Change, Column, Row, ServerMessage } from './protocol';

/** Something kept up to date by adding what comes and taking off what goes, such as a sum. */
export interface Fold {
  clear(columns: Columns): void;
  add(row: Row, weight: 1 | -1): void;
}

export class Diverged extends Error {}

/** Columns by name. */
export class Columns {
  readonly list: readonly Column[];
  readonly #index: Map<string, number>;

  constructor(list: readonly Column[]) {
    this.list = list;
    this.#index = new Map(list.map((column, i) => [column.name, i]));
  }

  /** Where a column stands; throws when the view has none of that name. */
  at(name: string): number {
    const index = this.#index.get(name);
    if (index === undefined) throw new RangeError(`there is no column ${name}`);
    return index;
  }

  has(name: string): boolean {
    return this.#index.has(name);
  }
}

type Snapshot = Extract<ServerMessage, { type: 'snapshot' }>;

/** Rows by name: their key, or without one the whole row and the number of the copy. */
class Named {
  readonly rows = new Map<string, Row>();
  readonly #copies = new Map<string, number>();

  constructor(readonly key: readonly number[] | undefined) {}

  nameOf(row: Row): string {
    return this.key ? keyOf(row, this.key) : JSON.stringify(row);
  }

  /** Whether it could be added: not where a row of its key is there already. */
  add(row: Row): boolean {
    const name = this.nameOf(row);
    if (this.key) {
      if (this.rows.has(name)) return false;
      this.rows.set(name, row);
      return true;
    }
    const copies = this.#copies.get(name) ?? 0;
    this.#copies.set(name, copies + 1);
    this.rows.set(`${name}${copies}`, row);
    return true;
  }

  /** The row that was removed; none if it is not there. */
  remove(row: Row): Row | undefined {
    const name = this.#lastOf(row);
    const held = this.rows.get(name);
    if (!held || !same(held, row)) return undefined;
    this.rows.delete(name);
    return held;
  }

  #lastOf(row: Row): string {
    const name = this.nameOf(row);
    const copies = this.#copies.get(name);
    if (copies === undefined) return name;
    if (copies > 1) this.#copies.set(name, copies - 1);
    else this.#copies.delete(name);
    return `${name}${copies - 1}`;
  }
}

interface Staging {
  columns: Columns;
  named: Named;
}

export class Rows {
  columns = new Columns([]);
  position: string | undefined;
  /** True once a whole snapshot has been seen. */
  complete = false;

  #named = new Named(undefined);
  #staging: Staging | undefined;
  readonly #folds = new Set<Fold>();

  get size(): number {
    return this.#named.rows.size;
  }

  values(): MapIterator<Row> {
    return this.#named.rows.values();
  }

  /** The columns that name a row; none where a row may be there several times. */
  get key(): readonly string[] {
    return (this.#named.key ?? []).flatMap((at) => this.columns.list[at]?.name ?? []);
  }

  /** What names a row among the others; without a key, copies of a row have one name. */
  nameOf(row: Row): string {
    return this.#named.nameOf(row);
  }

  /** The row with these values in the columns that name one; none where no columns do. */
  find(key: Readonly<Record<string, Cell>>): Row | undefined {
    const columns = this.key;
    if (columns.length === 0) return undefined;
    return this.#named.rows.get(named(columns.map((column) => key[column] ?? null)));
  }

  /** Keeps `fold` up to date from now on, beginning with the rows that are held. */
  fold<F extends Fold>(fold: F): F {
    this.#folds.add(fold);
    if (this.complete) this.#refill(fold);
    return fold;
  }

  /** Leaves `fold` as it is from now on. */
  unfold(fold: Fold): void {
    this.#folds.delete(fold);
  }

  /**
   * Takes a part of a snapshot. The rows held before stay readable until the last part is in.
   * Returns whether it was the last.
   */
  snapshot(message: Snapshot): boolean {
    this.#staging ??= stage(message);
    const { columns, named } = this.#staging;
    for (const row of message.rows) {
      if (!named.add(row)) throw new Diverged('a snapshot names a row twice');
    }
    if (message.last === false) return false;
    this.columns = columns;
    this.#named = named;
    this.#staging = undefined;
    this.complete = true;
    this.position = message.position;
    for (const fold of this.#folds) this.#refill(fold);
    return true;
  }

  /** Takes all changes of one position: removals first, so that an update is one of each. */
  delta(changes: readonly Change[], position: string): void {
    if (!this.complete || this.#staging) throw new Diverged('a change before the snapshot');
    for (const [weight, row] of changes) if (weight < 0) this.#remove(row, weight);
    for (const [weight, row] of changes) if (weight > 0) this.#insert(row, weight);
    this.position = position;
  }

  /** What is held is void and may not be resumed from; it stays readable until it is replaced. */
  reset(): void {
    this.position = undefined;
    this.#staging = undefined;
  }

  /** The connection is gone: a snapshot that is still coming in will not be finished. */
  abandon(): void {
    this.#staging = undefined;
  }

  #remove(row: Row, weight: number): void {
    for (let copy = this.#copies(-weight); copy > 0; copy -= 1) {
      const held = this.#named.remove(row);
      if (!held) throw new Diverged('a row was removed that is not held');
      for (const fold of this.#folds) fold.add(held, -1);
    }
  }

  #insert(row: Row, weight: number): void {
    for (let copy = this.#copies(weight); copy > 0; copy -= 1) {
      if (!this.#named.add(row)) throw new Diverged('a row was added twice');
      for (const fold of this.#folds) fold.add(row, 1);
    }
  }

  /** How many copies come or go: where rows have a key, never more than one. */
  #copies(copies: number): number {
    if (copies !== 1 && this.#named.key) throw new Diverged('a row of a key has copies');
    return copies;
  }

  #refill(fold: Fold): void {
    fold.clear(this.columns);
    for (const row of this.#named.rows.values()) fold.add(row, 1);
  }
}

function stage(message: Snapshot): Staging {
  const columns = new Columns(message.columns);
  const key = message.key.map((name) => columns.at(name));
  return { columns, named: new Named(key.length > 0 ? key : undefined) };
}

function keyOf(row: Row, key: readonly number[]): string {
  const [only] = key;
  if (key.length === 1 && only !== undefined && typeof row[only] === 'string') {
    return row[only];
  }
  return named(key.map((i) => row[i] ?? null));
}

function named(key: readonly Cell[]): string {
  const [only] = key;
  return key.length === 1 && typeof only === 'string' ? only : JSON.stringify(key);
}

function same(a: Row, b: Row): boolean {
  return a.length === b.length && a.every((cell, i) => cell === b[i]);
}
