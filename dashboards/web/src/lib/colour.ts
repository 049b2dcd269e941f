/** Colours: the firm's accent, made to stand out from its ground enough to be read. */

export type Rgb = readonly [number, number, number];

export function parseHex(text: unknown): Rgb | null {
  if (typeof text !== 'string') return null;
  const match = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(text.trim());
  const digits = match?.[1];
  if (digits === undefined) return null;
  const pairs = digits.length === 3 ? [...digits].map((d) => d + d) : digits.match(/../g) ?? [];
  const [r = 0, g = 0, b = 0] = pairs.map((pair) => Number.parseInt(pair, 16));
  return [r, g, b];
}

export function toHex(rgb: Rgb): string {
  return `#${rgb.map((part) => Math.round(part).toString(16).padStart(2, '0')).join('')}`;
}

function luminance(rgb: Rgb): number {
  const [r = 0, g = 0, b = 0] = rgb.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** The contrast of two colours as WCAG counts it, 1–21. */
export function contrast(a: Rgb, b: Rgb): number {
  const [low = 0, high = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

/** Hue in degrees, saturation and lightness as shares. */
function toHsl([red, green, blue]: Rgb): [number, number, number] {
  const [r, g, b] = [red / 255, green / 255, blue / 255];
  const [low, high] = [Math.min(r, g, b), Math.max(r, g, b)];
  const span = high - low;
  const lightness = (high + low) / 2;
  if (span === 0) return [0, 0, lightness];
  const saturation = span / (1 - Math.abs(2 * lightness - 1));
  const sector = high === r ? (g - b) / span : high === g ? (b - r) / span + 2 : (r - g) / span + 4;
  return [(sector * 60 + 360) % 360, saturation, lightness];
}

function fromHsl(hue: number, saturation: number, lightness: number): Rgb {
  const reach = saturation * Math.min(lightness, 1 - lightness);
  const part = (offset: number) => {
    const k = (offset + hue / 30) % 12;
    return 255 * (lightness - reach * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
  };
  return [part(0), part(8), part(4)];
}

/** The colour itself, or one of its hue that is light or dark enough to be read on its ground. */
export function readable(colour: Rgb, ground: Rgb, atLeast = 4.6): Rgb {
  const [hue, saturation, lightness] = toHsl(colour);
  const end = luminance(ground) > 0.4 ? 0 : 1;
  for (let share = 0; share < 1; share += 0.04) {
    const next = share === 0 ? colour : fromHsl(hue, saturation, lightness + (end - lightness) * share);
    if (contrast(next, ground) >= atLeast) return next;
  }
  return fromHsl(hue, 0, end);
}
