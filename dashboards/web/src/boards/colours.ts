/** The colours of series: shades of the firm's accent and of grey, since amber and red mean something. */
import type { Palette } from '../charts/palette';
import { parseHex, toHex } from '../lib/colour';
import type { Tone } from './document';

/** So much of the second colour in the first. */
export function mixed(first: string, second: string, share: number): string {
  const [a, b] = [parseHex(first), parseHex(second)];
  if (!a || !b) return first;
  return toHex([0, 1, 2].map((i) => (a[i] ?? 0) * (1 - share) + (b[i] ?? 0) * share) as [number, number, number]);
}

export function seriesColours({ accent, bar, bar2, ink, ink2, surface }: Palette): string[] {
  return [
    accent, bar2, mixed(accent, surface, 0.48), ink2, mixed(accent, ink, 0.42), bar, mixed(accent, surface, 0.72),
    mixed(ink2, surface, 0.4),
  ];
}

export function toneColour(tone: Tone, colours: Palette): string {
  return { good: colours.good, warning: colours.warn, critical: colours.bad }[tone];
}
