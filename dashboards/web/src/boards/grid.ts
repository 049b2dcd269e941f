/** Where widgets lie on the page: twelve columns of equal width, and rows of a fixed height. */
import type { Place } from './document';

/** The height of a row of the grid, in pixels. */
export const ROW = 52;
/** What is between rows and between columns, in pixels. */
export const GAP = 12;

/** The height of so many rows, in pixels. */
export function heightOf(rows: number): number {
  return rows * ROW + (rows - 1) * GAP;
}

/** A place as CSS's `grid-area`: from where to where, with lines that are counted from 1. */
export function areaOf({ x, y, w, h }: Place): string {
  return `${y + 1} / ${x + 1} / span ${h} / span ${w}`;
}
