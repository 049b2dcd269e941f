/** The few rows of many that a tile shows. */
import type { Cell } from './protocol';
import type { Rows } from './rows';

/** One line of a ranking: a name, a figure and a bar. */
export interface Item {
  id: string;
  href: string;
  name: string;
  note: string;
  tone?: 'warn' | 'bad' | 'accent';
  /** The figure, in ten-thousandths. */
  value: bigint;
  /** Where the events behind the figure are. */
  why: string;
  places: number;
  trim?: boolean;
  /** The bar: shares of the whole width (0–1), side by side. */
  parts: readonly Part[];
}

export interface Part {
  share: number;
  tone: 'accent' | 'bar' | 'bar-2' | 'warn' | 'bad';
}

export interface Choice {
  /** The column they are ranked by; what is closest to none of it goes last. */
  by: string | ((cell: (name: string) => Cell) => number);
  most: number;
  lowest?: boolean;
  where?: (cell: (name: string) => Cell) => boolean;
}

/** The first rows by a column, ranked approximately (figures are shown exactly). */
export function topRows(rows: Rows, choice: Choice): ((name: string) => Cell)[] {
  const best: { rank: number; cell: (name: string) => Cell }[] = [];
  const { columns } = rows;
  const sign = choice.lowest === true ? -1 : 1;
  for (const row of rows.values()) {
    const cell = (name: string): Cell => row[columns.at(name)] ?? null;
    if (choice.where && !choice.where(cell)) continue;
    const by = typeof choice.by === 'string' ? Number(cell(choice.by) ?? 0) : choice.by(cell);
    const rank = sign * by;
    const last = best[best.length - 1];
    if (best.length === choice.most && last && last.rank >= rank) continue;
    // A short list: insertion keeps it sorted, and equals stay in the order of their keys.
    let place = best.length;
    while (place > 0 && (best[place - 1]?.rank ?? Infinity) < rank) place -= 1;
    best.splice(place, 0, { rank, cell });
    if (best.length > choice.most) best.pop();
  }
  return best.map((entry) => entry.cell);
}

/** A share of the longest bar, never negative and never beyond the whole. */
export function shareOf(part: number, most: number): number {
  return most <= 0 ? 0 : Math.min(1, Math.max(0, part / most));
}

/** A bar of a whole: the part of it that counts, and the rest. */
export function partBar(part: number, whole: number, most: number, tone: Part['tone'] = 'accent'): Part[] {
  return [{ share: shareOf(part, most), tone }, { share: shareOf(whole - part, most), tone: 'bar' }];
}

export function textOf(cell: Cell): string {
  return cell === null ? '' : String(cell);
}
