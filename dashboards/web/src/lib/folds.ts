/** Sums over the rows of a view, exact and kept up to date change by change. */
import { parseDecimal, type Decimal } from './decimal';
import type { Cell, Row } from './protocol';
import type { Columns, Fold } from './rows';

/** Zero for null: what is not known adds nothing. */
export function decimalOf(cell: Cell | undefined): Decimal {
  if (cell === null || cell === undefined) return 0n;
  return parseDecimal(String(cell));
}

export interface SumsShape {
  /** Decimal columns to add up. */
  sums: readonly string[];
  /** The column to group by; all rows together without one. */
  by?: string;
  /** Counts of the rows for which something holds. */
  counts?: Record<string, (cell: (name: string) => Cell) => boolean>;
}

export interface Group {
  rows: number;
  sums: Record<string, Decimal>;
  counts: Record<string, number>;
}

/** Sums and counts by group. A group without rows is gone. */
export class Sums implements Fold {
  readonly groups = new Map<string, Group>();
  #columns: Columns | undefined;

  constructor(private readonly shape: SumsShape) {}

  /** The group, or one of zeros. */
  group(name = ''): Group {
    return this.groups.get(name) ?? this.#empty();
  }

  clear(columns: Columns): void {
    this.#columns = columns;
    this.groups.clear();
  }

  add(row: Row, weight: 1 | -1): void {
    const columns = this.#columns;
    if (!columns) return;
    const cell = (name: string): Cell => row[columns.at(name)] ?? null;
    const name = this.shape.by === undefined ? '' : String(cell(this.shape.by) ?? '');
    const group = this.groups.get(name) ?? this.#empty();
    group.rows += weight;
    for (const column of this.shape.sums) {
      group.sums[column] = (group.sums[column] ?? 0n) + BigInt(weight) * decimalOf(cell(column));
    }
    for (const [key, holds] of Object.entries(this.shape.counts ?? {})) {
      if (holds(cell)) group.counts[key] = (group.counts[key] ?? 0) + weight;
    }
    if (group.rows === 0) this.groups.delete(name);
    else this.groups.set(name, group);
  }

  #empty(): Group {
    const zeros = <T>(names: readonly string[], zero: T) =>
      Object.fromEntries(names.map((name) => [name, zero])) as Record<string, T>;
    return {
      rows: 0,
      sums: zeros(this.shape.sums, 0n),
      counts: zeros(Object.keys(this.shape.counts ?? {}), 0),
    };
  }
}
