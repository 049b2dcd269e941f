/**
 * Branding: the name, the logo and the colours by which a firm's people know their page.
 *
 * What a firm had before the service checked it may be anything, so it is read with care here: what
 * is no name, no picture and no colour is left out.
 */
import { contrast, parseHex, readable, toHex, type Rgb } from './colour';

export type Shade = 'light' | 'dark';

export interface Brand {
  /** What stands in the head of the page; null for the firm's own name. */
  name: string | null;
  /** A picture as `data:…`, or the address of one; null for the first letter of the name. */
  logo: string | null;
  /** By day and by night; null where the firm chose none. */
  colours: Readonly<Record<Shade, Rgb | null>>;
}

/** The colour of a firm that chose none. */
export const ACCENT: Rgb = [11, 107, 117];

/** What stands on the accent, and on what the accent stands: as the styles have them. */
export const SURFACES: Readonly<Record<Shade, Rgb>> = { light: [255, 255, 255], dark: [23, 26, 30] };
/** Of all grounds of the page, the one on which the accent is hardest to read. */
export const SUNKEN: Readonly<Record<Shade, Rgb>> = { light: [241, 241, 238], dark: [30, 34, 39] };

/** More than what text needs (4.5): colours are rounded, and bright ones glare less by night. */
const CONTRAST: Readonly<Record<Shade, number>> = { light: 4.6, dark: 5.5 };

const text = (value: unknown): string | null =>
  typeof value === 'string' && value.trim() !== '' ? value.trim() : null;

export function brandOf(branding: Record<string, unknown> | null | undefined): Brand {
  const given = branding?.['colours'];
  const colours = typeof given === 'object' && given !== null ? (given as Record<string, unknown>) : {};
  return {
    name: text(branding?.['name']),
    logo: text(branding?.['logo']),
    colours: {
      light: parseHex(colours['accent'] ?? branding?.['accent']),
      dark: parseHex(colours['accent_dark']),
    },
  };
}

/** The accent in a shade, as `#rrggbb`: the firm's, lighter or darker where it could not be read. */
export function accentOf(colours: Brand['colours'], shade: Shade): string {
  const chosen = colours[shade] ?? colours.light ?? ACCENT;
  return toHex(readable(chosen, SUNKEN[shade], CONTRAST[shade]));
}

/** The least contrast with white, or with the ground by night, that the service takes. */
export const LEAST = 4.5;

/** The colour, or the nearest of its hue that the service takes, as `#rrggbb`. */
export function nearest(colour: Rgb, shade: Shade): string {
  return toHex(contrast(colour, SURFACES[shade]) >= LEAST ? colour : readable(colour, SURFACES[shade], LEAST + 0.1));
}

/** The letter of a firm without a logo. */
export function initial(name: string): string {
  return (Array.from(name.trim())[0] ?? '').toUpperCase();
}

/** The bytes of a logo that is a picture; null for an address, and for what is neither. */
export function pictureOf(logo: string): Blob | null {
  const [, type, data] = /^data:(image\/(?:png|jpeg|webp));base64,([A-Za-z0-9+/]+=*)$/.exec(logo) ?? [];
  if (type === undefined || data === undefined) return null;
  try {
    return new Blob([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], { type });
  } catch (error) {
    // Cut off: no base64.
    if (error instanceof DOMException) return null;
    throw error;
  }
}
