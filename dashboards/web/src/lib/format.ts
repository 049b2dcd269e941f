/**
 * Figures and dates as they are read: true minus, digits grouped as the firm's locale has them, fixed places.
 * Digits stay text, so that none is lost.
 */
import { ONE, round, SCALE, type Decimal } from './decimal';
import { locale, marksOf } from './locale.svelte';
import { units } from './units';
import { dayAt, knownZone } from './zone';

export const MINUS = '\u2212';
const DASH = '\u2013';

export interface FigureParts {
  sign: '' | '+' | typeof MINUS;
  whole: string;
  /** With its point, or empty. */
  fraction: string;
}

export interface FigureStyle {
  /** Places after the point (0–4). */
  places: number;
  /** Leave zeros at the end out, … */
  trim?: boolean;
  /** … but for so many places. */
  least?: number;
  /** Show a plus before what is above zero. */
  signed?: boolean;
}

/** The digits of a whole number in groups, `1,234`. */
export function group(digits: string): string {
  return marksOf(locale.tag).group(digits);
}

/** Digits after the point, with it; nothing for none. */
export function fraction(digits: string): string {
  return digits === '' ? '' : marksOf(locale.tag).point + digits;
}

/** The parts of a figure, so that the fraction can be set smaller than the whole. */
export function figureParts(value: Decimal, style: FigureStyle): FigureParts {
  const rounded = round(value, style.places);
  const magnitude = rounded < 0n ? -rounded : rounded;
  const places = (magnitude % ONE).toString().padStart(SCALE, '0').slice(0, style.places);
  const digits = style.trim === true ? trimmed(places, style.least ?? 0) : places;
  return {
    sign: rounded < 0n ? MINUS : style.signed === true && rounded > 0n ? '+' : '',
    whole: group((magnitude / ONE).toString()),
    fraction: fraction(digits),
  };
}

const trimmed = (places: string, least: number) => places.replace(/0+$/, '').padEnd(least, '0');

export function figure(value: Decimal, style: FigureStyle): string {
  const parts = figureParts(value, style);
  return parts.sign + parts.whole + parts.fraction;
}

/** Money in full, with two places; further places only when they say something. */
export function money(value: Decimal): string {
  return figure(value, amountStyle(null));
}

const placesKept = new Map<string, number>();

/** The places that a currency has, two where the browser does not know it; null for what is no currency. */
export function placesOf(currency: unknown): number | null {
  if (typeof currency !== 'string' || !/^[A-Z]{3}$/.test(currency)) return null;
  const kept = placesKept.get(currency);
  if (kept !== undefined) return kept;
  const { maximumFractionDigits = 2 } = new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions();
  const places = Math.min(SCALE, maximumFractionDigits);
  placesKept.set(currency, places);
  return places;
}

/** How amounts of a currency read; where none is known, with two places and all that say something. */
export function amountStyle(currency: unknown): FigureStyle {
  const places = placesOf(currency);
  return places === null ? { places: SCALE, trim: true, least: 2 } : { places };
}

/** An amount without its currency, with the places that this has. */
export function amount(value: Decimal, currency: unknown): string {
  return figure(value, amountStyle(currency));
}

/** A plain number such as `-1234.5000` with all its places that say something; the text itself if it is none. */
export function exact(text: string, least = 0): string {
  const [, sign, whole, places = ''] = /^([+-]?)(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  if (whole === undefined) return text;
  const isNothing = !/[1-9]/.test(whole + places);
  return (sign === '-' && !isNothing ? MINUS : '') + group(whole) + fraction(trimmed(places, least));
}

/** Whether an amount that leads a tile is read without its cents: from ten millions on. */
export function isLarge(value: Decimal): boolean {
  const least = 10_000_000n * ONE;
  return value >= least || value <= -least;
}

export function quantity(value: Decimal): string {
  return figure(value, { places: SCALE, trim: true });
}

/** How hours read: a quarter of one is told from half of one. */
export const HOURS: FigureStyle = { places: 2, trim: true, least: 1 };

export function hours(value: Decimal): string {
  return figure(value, HOURS);
}

export function count(value: number): string {
  return (value < 0 ? MINUS : '') + group(Math.abs(Math.trunc(value)).toString());
}

const STEPS: ReadonlyArray<readonly [Decimal, string]> = [
  [1_000_000_000_000n, units.trillion],
  [1_000_000_000n, units.billion],
  [1_000_000n, units.million],
  [1_000n, units.thousand],
];

/** Three or four digits and a letter (`1.28m`), for labels beside bars. */
export function compact(value: Decimal): string {
  const magnitude = value < 0n ? -value : value;
  for (const [index, [size, letter]] of STEPS.entries()) {
    if (magnitude < size * ONE) continue;
    const scaled = divide(value, size);
    // What rounds up to a thousand of this step reads better as one of the next.
    const above = STEPS[index - 1];
    if (above && (scaled <= -1000n * ONE || scaled >= 1000n * ONE)) {
      return figure(divide(value, above[0]), { places: 2 }) + above[1];
    }
    const digits = (scaled < 0n ? -scaled : scaled) / ONE;
    return figure(scaled, { places: digits < 10n ? 2 : digits < 100n ? 1 : 0 }) + letter;
  }
  return figure(value, { places: 0 });
}

function divide(value: Decimal, size: bigint): Decimal {
  const digits = (value < 0n ? -value : value) / (size * ONE);
  const places = digits < 10n ? 2 : digits < 100n ? 1 : 0;
  return round(value / size, places);
}

/** A share given in ten-thousandths of one; a dash when there is none. */
export function percent(value: Decimal | null, places = 0): string {
  return value === null ? DASH : share(value, { places });
}

/** A share given in ten-thousandths of one, as a percentage. */
export function share(value: Decimal, style: FigureStyle): string {
  const [before, after] = marksOf(locale.tag).percent;
  return before + figure(value * 100n, style) + after;
}

/** A day as `21 Nov 2026`; the text itself if it is no day. */
export function day(iso: string): string {
  const date = new Date(`${iso}T00:00:00Z`);
  if (Number.isNaN(date.getTime())) return iso;
  return date.toLocaleDateString(locale.tag, {
    day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC',
  });
}

/** A moment on the clock of a time zone, as `21 Nov 2026, 09:41`; the text itself if it is none. */
export function moment(iso: string, timezone: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  const style: Intl.DateTimeFormatOptions = {
    day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit',
  };
  const zone = knownZone(timezone);
  // Another zone than the one that is meant is named.
  if (zone !== timezone) return date.toLocaleString(locale.tag, { ...style, timeZone: zone, timeZoneName: 'short' });
  return date.toLocaleString(locale.tag, { ...style, timeZone: zone });
}

/** A moment as the reader's clock shows it, `09:41`. */
export function clockTime(at: number, seconds = false): string {
  return new Date(at).toLocaleTimeString(locale.tag, {
    hour: '2-digit', minute: '2-digit', ...(seconds ? { second: '2-digit' } : {}),
  });
}

/** With its first letter large, as names of stages are read. */
export function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** How long something has been: `now`, `4 s`, `2 min`, `3 h`, `5 days`. */
export function age(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 1) return units.now;
  if (seconds < 60) return units.seconds(seconds);
  if (seconds < 3600) return units.minutes(Math.floor(seconds / 60));
  if (seconds < 86_400) return units.hours(Math.floor(seconds / 3600));
  return units.days(Math.floor(seconds / 86_400));
}

/** Today's date where the tenant is, `YYYY-MM-DD`. */
export function todayIn(timezone: string, now: number): string {
  return dayAt(timezone, now);
}
