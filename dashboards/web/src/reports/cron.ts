/** What five fields of cron mean, in words; the service alone decides when a report is due. */

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = [
  'January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October',
  'November', 'December',
];

/** A value or a range of them, each between two bounds, by number or by the first letters of its name. */
function numbered(field: string, names: readonly string[], low: number, high: number): [number, number][] | null {
  const parts = field.split(',').map((part): [number, number] | null => {
    const ends = part.split('-').map((end) => {
      const named = names.findIndex((name) => name.slice(0, 3).toUpperCase() === end.toUpperCase());
      const number = /^\d{1,2}$/.test(end) ? Number(end) : named < 0 ? Number.NaN : named + low;
      return number >= low && number <= high ? number : null;
    });
    const [from = null, to = from] = ends;
    return ends.length > 2 || from === null || to === null || to < from ? null : [from, to];
  });
  return parts.some((part) => part === null) ? null : parts.flatMap((part) => (part ? [part] : []));
}

function listed(words: readonly string[]): string {
  if (words.length < 2) return words[0] ?? '';
  return `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

function spans(ranges: readonly [number, number][], word: (n: number) => string): string {
  return listed(ranges.map(([from, to]) => (from === to ? word(from) : `${word(from)} to ${word(to)}`)));
}

const two = (n: number) => String(n).padStart(2, '0');

/** `at 07:00 and 19:00`, `every 2 hours at :30`, `every 15 minutes`. */
function times(minute: string, hour: string): string | null {
  const steps = /^\*(?:\/(\d{1,2}))?$/;
  const [everyMinute, everyHour] = [steps.exec(minute), steps.exec(hour)];
  const every = (count: string | undefined, word: string) =>
    count === undefined || count === '1' ? `every ${word}` : `every ${Number(count)} ${word}s`;
  if (everyMinute) return everyHour && everyHour[1] === undefined ? every(everyMinute[1], 'minute') : null;
  const minutes = numbered(minute, [], 0, 59);
  if (!minutes || minutes.some(([from, to]) => from !== to)) return null;
  if (everyHour) return `${every(everyHour[1], 'hour')} at ${listed(minutes.map(([m]) => `:${two(m)}`))}`;
  const hours = numbered(hour, [], 0, 23);
  if (!hours || minutes.length * hours.length > 12) return null;
  if (hours.some(([from, to]) => from !== to)) {
    const [m = 0] = minutes[0] ?? [];
    return minutes.length === 1 ? `every hour at ${spans(hours, (h) => `${two(h)}:${two(m)}`)}` : null;
  }
  return `at ${listed(hours.flatMap(([h]) => minutes.map(([m]) => `${two(h)}:${two(m)}`)))}`;
}

/** `every Monday at 07:00`; null for what takes more words than it has fields. */
export function cronWords(cron: string): string | null {
  const fields = cron.trim().split(/\s+/);
  const [minute, hour, day, month, weekday] = fields;
  if (fields.length !== 5 || !minute || !hour || !day || !month || !weekday) return null;
  const time = times(minute, hour);
  if (time === null) return null;
  const months = month === '*' ? '' : inMonths(month);
  if (months === null || (day !== '*' && weekday !== '*')) return null;
  if (weekday !== '*') {
    const days = numbered(weekday, DAYS, 0, 7);
    if (!days) return null;
    return `every ${spans(days, (n) => DAYS[n % 7] ?? '')}${months} ${time}`;
  }
  if (day === '*') return time.startsWith('every') ? `${time}${months}` : `every day${months} ${time}`;
  if (day.toUpperCase() === 'L') return `on the last day of ${months === '' ? 'every month' : months.slice(4)} ${time}`;
  const days = numbered(day, [], 1, 31);
  if (!days) return null;
  return `on day ${spans(days, String)} of ${months === '' ? 'every month' : months.slice(4)} ${time}`;
}

function inMonths(field: string): string | null {
  const months = numbered(field, MONTHS, 1, 12);
  return months ? ` in ${spans(months, (n) => MONTHS[n - 1] ?? '')}` : null;
}

/** An instant on the clock of a zone, `Mon 23 Nov 2026, 07:00`; as it came where the zone is not known. */
export function instantIn(instant: string, timezone: string): string {
  const date = new Date(instant);
  if (Number.isNaN(date.getTime())) return instant;
  try {
    return new Intl.DateTimeFormat('en-GB', {
      weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit',
      timeZone: timezone,
    }).format(date);
  } catch (error) {
    // The browser may know fewer zones than the service.
    if (!(error instanceof RangeError)) throw error;
    return instant;
  }
}
