/** Words for dates in double braces, as reports have them: `{{today - 7}}`, `{{this_month.start}}`. */

const DAY_MS = 86_400_000;

const iso = (date: Date) => date.toISOString().slice(0, 10);
const moved = (date: Date, days: number) => new Date(date.getTime() + days * DAY_MS);
const firstOf = (year: number, month: number) => new Date(Date.UTC(year, month, 1));

const NAMED: Record<string, number> = { yesterday: -1, today: 0, tomorrow: 1 };
const STEPS: Record<string, number> = { last: -1, this: 0, next: 1 };

/**
 * The day that words stand for on the date `today`; the text itself where there are no braces, and null for
 * words that name no day. Fiscal years are taken to begin in January.
 */
export function dayOf(text: string, today: string): string | null {
  const words = /^\{\{\s*(.*?)\s*\}\}$/.exec(text)?.[1];
  if (words === undefined) return text.startsWith('{{') ? null : text;
  const now = new Date(`${today}T00:00:00Z`);
  if (Number.isNaN(now.getTime())) return null;
  const named = NAMED[words];
  if (named !== undefined) return iso(moved(now, named));
  const apart = /^today\s*([+-])\s*(\d{1,5})$/.exec(words);
  if (apart) return iso(moved(now, Number(apart[2]) * (apart[1] === '-' ? -1 : 1)));
  const within = /^(last|this|next)_(?:fiscal_(?=quarter|year))?(week|month|quarter|year)\.(start|end|next)$/.exec(words);
  if (!within) return null;
  const [, step = '', unit = '', edge = ''] = within;
  const at = STEPS[step] ?? 0;
  if (edge === 'start') return iso(beginning(now, unit, at));
  const next = beginning(now, unit, at + 1);
  return iso(edge === 'next' ? next : moved(next, -1));
}

/** The first day of the unit that is so many after the one in which `now` lies; weeks begin on Monday. */
function beginning(now: Date, unit: string, steps: number): Date {
  const [year, month] = [now.getUTCFullYear(), now.getUTCMonth()];
  switch (unit) {
    case 'week': return moved(now, steps * 7 - ((now.getUTCDay() + 6) % 7));
    case 'month': return firstOf(year, month + steps);
    case 'quarter': return firstOf(year, month - (month % 3) + steps * 3);
    default: return firstOf(year + steps, 0);
  }
}
