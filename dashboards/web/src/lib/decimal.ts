/**
 * Exact decimals. Amounts, quantities and hours come as text such as `"-1234.5000"` and are held as
 * whole ten-thousandths in a BigInt, so that sums are exact. `toNumber` is for the geometry of
 * charts alone, never for a figure that is read.
 */

/** A number of ten-thousandths: `12345n` is 1.2345. */
export type Decimal = bigint;

export const SCALE = 4;
export const ONE: Decimal = 10_000n;

const SHAPE = /^([+-]?)(\d+)(?:\.(\d+))?$/;

/** Reads a plain decimal; throws on anything else, and on more than four places that are not zero. */
export function parseDecimal(text: string): Decimal {
  const match = SHAPE.exec(text);
  if (!match) throw new RangeError(`not a decimal: ${JSON.stringify(text)}`);
  const [, sign, whole, places = ''] = match;
  if (/[1-9]/.test(places.slice(SCALE))) {
    throw new RangeError(`more than ${SCALE} decimal places: ${text}`);
  }
  const units = BigInt(whole + places.slice(0, SCALE).padEnd(SCALE, '0'));
  return sign === '-' ? -units : units;
}

/** Divides and rounds half away from zero; the divisor must be positive. */
export function divideRounded(value: bigint, divisor: bigint): bigint {
  const half = divisor / 2n;
  return value < 0n ? -((-value + half) / divisor) : (value + half) / divisor;
}

/** Rounds to so many places; the result is still in ten-thousandths. */
export function round(value: Decimal, places: number): Decimal {
  const step = 10n ** BigInt(SCALE - places);
  return divideRounded(value, step) * step;
}

/** `part` as a share of `whole`, in ten-thousandths; null when there is no whole. */
export function share(part: Decimal, whole: Decimal): Decimal | null {
  if (whole === 0n) return null;
  return whole < 0n ? divideRounded(-part * ONE, -whole) : divideRounded(part * ONE, whole);
}

/** An approximation for drawing and ranking. */
export function toNumber(value: Decimal): number {
  return Number(value) / Number(ONE);
}

export function compare(a: Decimal, b: Decimal): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
