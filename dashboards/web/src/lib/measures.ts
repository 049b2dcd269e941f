/** Sizes and times as they are read. */
import { units } from './units';

/** Bytes with three digits: `0 B`, `12.3 KiB`, `1.02 GiB`. */
export function bytes(count: number): string {
  let [value, unit] = [count, 0];
  while (value >= 1000 && unit < units.bytes.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const places = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(places)} ${units.bytes[unit] ?? ''}`;
}

/** How long something took: `38 ms`, `1.24 s`, `2 min 5 s`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return units.milliseconds(String(Math.round(milliseconds)));
  if (milliseconds < 60_000) return units.took((milliseconds / 1000).toFixed(milliseconds < 10_000 ? 2 : 1));
  const seconds = Math.round(milliseconds / 1000);
  return units.tookMinutes(Math.floor(seconds / 60), seconds % 60);
}
