/**
 * The rows of one subscription, kept by key, and sums over them.
 *
 * Invariant: between two messages the rows are exactly those of the view at `position`. A message
 * that does not fit what is held (a row removed that is not there, or added twice) throws
 * `Diverged`, and the holder must ask for a fresh snapshot: better a moment of old figures than a
 * wrong one.
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

interface Staging {
  columns: Columns;
  key: number[];
  rows: Map<string, Row>;
}

export class Rows {
  columns = new Columns([]);
  position: string | undefined;
  /** True once a whole snapshot has been seen. */
  complete = false;

  #key: number[] = [];
  #rows = new Map<string, Row>();
  #staging: Staging | undefined;
  readonly #folds = new Set<Fold>();

  get size(): number {
    return this.#rows.size;
  }

  values(): MapIterator<Row> {
    return this.#rows.values();
  }

  /** The columns that name a row. */
  get key(): readonly string[] {
    return this.#key.flatMap((at) => this.columns.list[at]?.name ?? []);
  }

  /** What names a row among the others. */
  nameOf(row: Row): string {
    return keyOf(row, this.#key);
  }

  /** The row with these values in the columns that name one. */
  find(key: Readonly<Record<string, Cell>>): Row | undefined {
    return this.#rows.get(named(this.key.map((column) => key[column] ?? null)));
  }

  /** Keeps `fold` up to date from now on, beginning with the rows that are held. */
  fold<F extends Fold>(fold: F): F {
    this.#folds.add(fold);
    if (this.complete) this.#refill(fold);
    return fold;
  }

  /**
   * Takes a part of a snapshot. The rows held before stay readable until the last part is in.
   * Returns whether it was the last.
   */
  snapshot(message: Snapshot): boolean {
    this.#staging ??= stage(message);
    const { rows, key } = this.#staging;
    for (const row of message.rows) {
      const name = keyOf(row, key);
      if (rows.has(name)) throw new Diverged('a snapshot names a row twice');
      rows.set(name, row);
    }
    if (message.last === false) return false;
    this.columns = this.#staging.columns;
    this.#key = key;
    this.#rows = rows;
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
    const name = keyOf(row, this.#key);
    const held = this.#rows.get(name);
    if (weight !== -1 || !held || !same(held, row)) {
      throw new Diverged('a row was removed that is not held');
    }
    this.#rows.delete(name);
    for (const fold of this.#folds) fold.add(held, -1);
  }

  #insert(row: Row, weight: number): void {
    const name = keyOf(row, this.#key);
    if (weight !== 1 || this.#rows.has(name)) throw new Diverged('a row was added twice');
    this.#rows.set(name, row);
    for (const fold of this.#folds) fold.add(row, 1);
  }

  #refill(fold: Fold): void {
    fold.clear(this.columns);
    for (const row of this.#rows.values()) fold.add(row, 1);
  }
}

function stage(message: Snapshot): Staging {
  const columns = new Columns(message.columns);
  // A view without a key is one of whole rows.
  const key = message.key.length > 0
    ? message.key.map((name) => columns.at(name))
    : message.columns.map((_, i) => i);
  return { columns, key, rows: new Map() };
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
