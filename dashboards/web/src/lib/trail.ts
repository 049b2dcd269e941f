/** What a figure has been since the page was opened: the line beneath it and its change. */
import { toNumber, type Decimal } from './decimal';

export interface Point {
  at: number;
  value: number;
}

/** The most points kept; beyond it every other one goes, so the line keeps its whole length. */
const MOST = 240;

export class Trail {
  first: Decimal | undefined;
  last: Decimal | undefined;
  /** When the first value was seen. */
  since = 0;
  points: Point[] = [];

  /** Notes a value; returns whether it is another than the last. */
  note(value: Decimal, at: number): boolean {
    if (this.first === undefined) {
      this.first = value;
      this.since = at;
    } else if (value === this.last) {
      return false;
    }
    this.last = value;
    this.points.push({ at, value: toNumber(value) });
    if (this.points.length > MOST) {
      const newest = this.points.length - 1;
      this.points = this.points.filter((_, i) => i % 2 === 0 || i === newest);
    }
    return true;
  }

  /** How far the figure has moved since it was first seen. */
  change(): Decimal {
    return (this.last ?? 0n) - (this.first ?? 0n);
  }
}

/** The line of a trail in a box, in steps: a figure keeps its value until the next change. */
export function trailPath(
  points: readonly Point[], until: number, width: number, height: number,
): string {
  const [first] = points;
  if (!first) return '';
  const values = points.map((p) => p.value);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const span = Math.max(1, until - first.at);
  const x = (at: number) => ((at - first.at) / span) * width;
  const y = (value: number) =>
    high === low ? height / 2 : height - ((value - low) / (high - low)) * height;
  const steps = points.map((p, i) =>
    i === 0 ? `M0 ${y(p.value).toFixed(1)}` : `H${x(p.at).toFixed(1)}V${y(p.value).toFixed(1)}`);
  return `${steps.join('')}H${width}`;
}
