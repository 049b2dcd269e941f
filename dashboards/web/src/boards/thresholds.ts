/** Bounds beyond which a number has a colour, and a word for those who do not see it. */
import type { Threshold, Tone } from './document';
import { readExact, type Exact } from './exact';

/** The tone of a number: that of the first threshold that holds. */
export function toneOf(value: Exact | null, thresholds: readonly Threshold[]): Tone | null {
  if (value === null) return null;
  return thresholds.find((threshold) => holds(value, threshold))?.tone ?? null;
}

function holds(value: Exact, threshold: Threshold): boolean {
  const bound = readExact(threshold.value);
  if (bound === null) return false;
  switch (threshold.is) {
    case 'above': return value > bound;
    case 'at_least': return value >= bound;
    case 'below': return value < bound;
    case 'at_most': return value <= bound;
  }
}

/** The thresholds of one column of a table. */
export function thresholdsOf(column: string, thresholds: readonly Threshold[]): Threshold[] {
  return thresholds.filter((threshold) => threshold.column === column);
}

/** The tone that matters most of several. */
export function worst(tones: readonly (Tone | null)[]): Tone | null {
  const order: readonly Tone[] = ['critical', 'warning', 'good'];
  return order.find((tone) => tones.includes(tone)) ?? null;
}
