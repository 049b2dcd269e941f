/** How numbers and dates are written: as the firm has it, and in British English until that is known. */

/** The locale of a firm that chose none. */
export const DEFAULT_LOCALE = 'en-GB';

/** What the numbers of a locale are put together with. Digits are Latin ones everywhere. */
export interface Marks {
  /** The digits of a whole number in groups, exactly. */
  group: (digits: string) => string;
  /** What stands before the places. */
  point: string;
  /** What stands around a percentage. */
  percent: readonly [before: string, after: string];
}

const kept = new Map<string, Marks>();

/** The marks of a locale that the browser knows. */
export function marksOf(tag: string): Marks {
  const known = kept.get(tag);
  if (known) return known;
  const latin = { numberingSystem: 'latn' } as const;
  const whole = new Intl.NumberFormat(tag, { ...latin, maximumFractionDigits: 0 });
  const point = new Intl.NumberFormat(tag, latin).formatToParts(0.5).find(({ type }) => type === 'decimal')?.value ?? '.';
  const share = new Intl.NumberFormat(tag, { ...latin, style: 'percent' }).formatToParts(0);
  const at = share.findIndex(({ type }) => type === 'integer');
  const said = (parts: readonly { value: string }[]) => parts.map(({ value }) => value).join('');
  const marks: Marks = {
    // Of whole numbers as such: a float would lose digits.
    group: (digits) => whole.format(BigInt(digits)), point, percent: [said(share.slice(0, at)), said(share.slice(at + 1))],
  };
  kept.set(tag, marks);
  return marks;
}

/** Whether a text is a locale (BCP 47) in which the browser can write. */
export function isLocale(tag: string): boolean {
  try {
    return Intl.NumberFormat.supportedLocalesOf(tag).length > 0;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** Some that are offered. Others can be typed. */
export const LOCALES: readonly string[] = [
  'en-GB', 'en-US', 'en-IE', 'en-AU', 'en-CA', 'en-IN', 'en-ZA', 'de-DE', 'de-AT', 'de-CH', 'fr-FR', 'fr-BE', 'fr-CA', 'fr-CH',
  'es-ES', 'es-MX', 'it-IT', 'nl-NL', 'nl-BE', 'pt-PT', 'pt-BR', 'pl-PL', 'cs-CZ', 'da-DK', 'nb-NO', 'sv-SE', 'fi-FI', 'tr-TR',
  'ja-JP', 'ko-KR',
];

/** A number and a day as a locale has them, to choose by. */
export function sampleIn(tag: string): string {
  const { group, point } = marksOf(tag);
  const day = new Date('2026-01-31T00:00:00Z').toLocaleDateString(tag, {
    day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC',
  });
  return `${group('1234567')}${point}89, ${day}`;
}

class Locale {
  tag = $state<string>(DEFAULT_LOCALE);

  /** Takes that of a firm; where there is none, or one that the browser does not know, the default. */
  take(tag: string | null | undefined): void {
    this.tag = typeof tag === 'string' && isLocale(tag) ? tag : DEFAULT_LOCALE;
  }
}

export const locale = new Locale();
