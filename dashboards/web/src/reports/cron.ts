/** What five fields of cron mean, in words; the service alone decides when a report is due. */
import { locale } from '../lib/locale.svelte';
import { words } from './words';

/** As cron names them, in every language. */
const DAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];
const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];

/** A value or a range of them, each between two bounds, by number or by name. */
function numbered(field: string, names: readonly string[], low: number, high: number): [number, number][] | null {
  const parts = field.split(',').map((part): [number, number] | null => {
    const ends = part.split('-').map((end) => {
      const named = names.indexOf(end.toUpperCase());
      const number = /^\d{1,2}$/.test(end) ? Number(end) : named < 0 ? Number.NaN : named + low;
      return number >= low && number <= high ? number : null;
    });
    const [from = null, to = from] = ends;
    return ends.length > 2 || from === null || to === null || to < from ? null : [from, to];
  });
  return parts.some((part) => part === null) ? null : parts.flatMap((part) => (part ? [part] : []));
}

function listed(all: readonly string[]): string {
  const last = all.at(-1) ?? '';
  return all.length < 2 ? last : words.cron.list(all.slice(0, -1).join(', '), last);
}

function spans(ranges: readonly [number, number][], word: (n: number) => string): string {
  return listed(ranges.map(([from, to]) => (from === to ? word(from) : words.cron.range(word(from), word(to)))));
}

const two = (n: number) => String(n).padStart(2, '0');

interface Times {
  text: string;
  /** Several times a day, at equal distances: then it is every day anyway. */
  isOften: boolean;
}

/** `at 07:00 and 19:00`, `every 2 hours at :30`, `every 15 minutes`. */
function times(minute: string, hour: string): Times | null {
  const steps = /^\*(?:\/(\d{1,2}))?$/;
  const [everyMinute, everyHour] = [steps.exec(minute), steps.exec(hour)];
  const often = (text: string): Times => ({ text, isOften: true });
  if (everyMinute) {
    return everyHour && everyHour[1] === undefined ? often(words.cron.everyMinutes(Number(everyMinute[1] ?? 1))) : null;
  }
  const minutes = numbered(minute, [], 0, 59);
  if (!minutes || minutes.some(([from, to]) => from !== to)) return null;
  if (everyHour) return often(words.cron.everyHours(Number(everyHour[1] ?? 1), listed(minutes.map(([m]) => `:${two(m)}`))));
  const hours = numbered(hour, [], 0, 23);
  if (!hours || minutes.length * hours.length > 12) return null;
  if (hours.some(([from, to]) => from !== to)) {
    const [m = 0] = minutes[0] ?? [];
    return minutes.length === 1 ? often(words.cron.everyHourOf(spans(hours, (h) => `${two(h)}:${two(m)}`))) : null;
  }
  return { text: words.cron.at(listed(hours.flatMap(([h]) => minutes.map(([m]) => `${two(h)}:${two(m)}`)))), isOften: false };
}

/** `every Monday at 07:00`; null for what takes more words than it has fields. */
export function cronWords(schedule: string): string | null {
  const fields = schedule.trim().split(/\s+/);
  const [minute, hour, day, month, weekday] = fields;
  if (fields.length !== 5 || !minute || !hour || !day || !month || !weekday) return null;
  const found = times(minute, hour);
  const months = month === '*' ? null : numbered(month, MONTHS, 1, 12);
  if (found === null || (month !== '*' && months === null) || (day !== '*' && weekday !== '*')) return null;
  const { text: time, isOften } = found;
  const within = months && spans(months, (n) => words.months[n - 1] ?? '');
  const { cron: said } = words;
  if (weekday !== '*') {
    const days = numbered(weekday, DAYS, 0, 7);
    if (!days) return null;
    const named = spans(days, (n) => said.days[n % 7] ?? '');
    return within === null ? said.weekdays(named, time) : said.weekdaysIn(named, within, time);
  }
  if (day === '*') {
    if (isOften) return within === null ? time : said.oftenIn(time, within);
    return within === null ? said.daily(time) : said.dailyIn(within, time);
  }
  if (day.toUpperCase() === 'L') return said.last(within ?? said.everyMonth, time);
  const days = numbered(day, [], 1, 31);
  return days && said.on(spans(days, String), within ?? said.everyMonth, time);
}

/** An instant on the clock of a zone, `Mon 23 Nov 2026, 07:00`; as it came where the zone is not known. */
export function instantIn(instant: string, timezone: string): string {
  const date = new Date(instant);
  if (Number.isNaN(date.getTime())) return instant;
  try {
    return new Intl.DateTimeFormat(locale.tag, {
      weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit',
      timeZone: timezone,
    }).format(date);
  } catch (error) {
    // The browser may know fewer zones than the service.
    if (!(error instanceof RangeError)) throw error;
    return instant;
  }
}
