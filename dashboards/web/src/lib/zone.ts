/** Time zones: what day it is in one, and when its days begin. */

const DAY_MS = 86_400_000;
const kept = new Map<string, string>();

/** The zone, or that of the world: the browser may know fewer zones than the service. */
export function knownZone(timezone: string): string {
  const known = kept.get(timezone);
  if (known !== undefined) return known;
  const zone = isKnown(timezone) ? timezone : 'UTC';
  kept.set(timezone, zone);
  return zone;
}

function isKnown(timezone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: timezone }) !== null;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** The date in a zone at a moment, `YYYY-MM-DD`. */
export function dayAt(timezone: string, at: number): string {
  return new Intl.DateTimeFormat('en-CA', {
    timeZone: knownZone(timezone), year: 'numeric', month: '2-digit', day: '2-digit',
  }).format(new Date(at));
}

/** How far a zone's clocks are ahead of those of the world at a moment, in milliseconds. */
function aheadAt(timezone: string, at: number): number {
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone: knownZone(timezone), hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric',
    hour: 'numeric', minute: 'numeric', second: 'numeric',
  }).formatToParts(new Date(at));
  const of = (type: Intl.DateTimeFormatPartTypes) => Number(parts.find((part) => part.type === type)?.value);
  return Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second')) - at;
}

/**
 * The instant at which a day begins in a zone, as RFC 3339. That is midnight, or where clocks are put forward
 * at midnight the first moment after it. The text itself if it is no day.
 */
export function beginningOf(day: string, timezone: string): string {
  const midnight = Date.parse(`${day}T00:00:00Z`);
  if (Number.isNaN(midnight)) return day;
  // By the clocks of the day before and of the day after; of both that lie on the day, the first.
  const begins = [-DAY_MS, DAY_MS]
    .map((apart) => midnight - aheadAt(timezone, midnight + apart))
    .sort((a, b) => a - b)
    .find((at) => dayAt(timezone, at) === day);
  return new Date(begins ?? midnight).toISOString().replace('.000Z', 'Z');
}
