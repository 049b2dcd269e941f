/**
 * Numbers of any rows, exactly: whole billionths of a thousandth in a BigInt, since answers to SQL have more
 * places than amounts do. What is read of them is rounded once, at the end.
 */
import { divideRounded, SCALE, type Decimal } from '../lib/decimal';
import type { Cell } from '../lib/protocol';

/** A number of 10⁻¹². */
export type Exact = bigint;

export const PLACES = 12;
export const UNIT: Exact = 10n ** BigInt(PLACES);

const SHAPE = /^([+-]?)(\d+)(?:\.(\d+))?$/;

/** Reads a cell; null for what is no number. Places beyond the twelfth are rounded, as those of floats. */
export function readExact(cell: Cell | undefined): Exact | null {
  if (typeof cell !== 'string' && typeof cell !== 'number') return null;
  const match = SHAPE.exec(plain(String(cell).trim()));
  if (!match) return null;
  const [, sign, whole = '', places = ''] = match;
  const scale = Math.max(PLACES, places.length);
  const digits = BigInt(whole + places.padEnd(scale, '0'));
  const magnitude = divideRounded(digits, 10n ** BigInt(scale - PLACES));
  return sign === '-' ? -magnitude : magnitude;
}

/** A float with an exponent, as plain digits. */
function plain(text: string): string {
  if (!/^[+-]?\d+(\.\d+)?e[+-]?\d+$/i.test(text)) return text;
  const number = Number(text);
  return Math.abs(number) < 1e21 ? number.toFixed(PLACES) : BigInt(number).toString();
}

/** As figures are read: rounded to four places, half away from zero. */
export function toDecimal(value: Exact): Decimal {
  return divideRounded(value, 10n ** BigInt(PLACES - SCALE));
}

export function fromDecimal(value: Decimal): Exact {
  return value * 10n ** BigInt(PLACES - SCALE);
}

/** An approximation, for the place of a point alone. */
export function toNumber(value: Exact): number {
  return Number(value) / Number(UNIT);
}

export function ofCount(count: number): Exact {
  return BigInt(count) * UNIT;
}

/** `part` as a share of `whole` in ten-thousandths; null where there is no whole. */
export function shareOf(part: Exact, whole: Exact): Decimal | null {
  return whole <= 0n ? null : divideRounded(part * 10n ** BigInt(SCALE), whole);
}

/** A number as plain digits, without zeros at its end: `-12.5`. */
export function digits(value: Exact): string {
  const magnitude = value < 0n ? -value : value;
  const places = (magnitude % UNIT).toString().padStart(PLACES, '0').replace(/0+$/, '');
  return `${value < 0n ? '-' : ''}${magnitude / UNIT}${places === '' ? '' : `.${places}`}`;
}
