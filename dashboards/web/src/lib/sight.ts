/** The part of a long table that stands in the page, where all lines are equally high. */

/** Lines from `first` on, up to the one before `last`. */
export interface Sight {
  first: number;
  last: number;
}

/** How far it is scrolled, and how high it is; in pixels. */
export interface Seen {
  top: number;
  height: number;
}

/** Of so many lines, each so many pixels high, those in sight and a few on either side of them. */
export function inSight(lines: number, line: number, { top, height }: Seen, around: number): Sight {
  return {
    first: Math.max(0, Math.min(Math.floor(top / line), lines) - around),
    last: Math.min(lines, Math.ceil((top + height) / line) + around),
  };
}

/** How far it is scrolled once a line is whole, beneath a head that stays; as little as that takes. */
export function topFor(at: number, line: number, { top, height }: Seen, head: number): number {
  const upper = Math.min(top, at * line);
  return Math.max(upper, (at + 1) * line + head - height);
}
