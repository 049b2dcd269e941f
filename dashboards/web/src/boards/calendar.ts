/** Rows by day, one calendar for each currency, and which weeks of it fit. */
import { todayIn } from '../lib/format';
import type { Cell } from '../lib/protocol';
import type { CalendarShow } from './document';
import type { Exact } from './exact';
import { currenciesOf, currencyColumn, fold } from './fold';
import type { Held } from './held';
import { columnOf, readingOf, type Reading } from './reading';

export interface Days {
  currency: Cell;
  reading: Reading;
  /** The days that have a number, the earliest first. */
  days: { day: string; value: Exact; pick: Readonly<Record<string, Cell>> | null }[];
}

const DAY_MS = 86_400_000;
const WEEK = 7;

export function calendarsOf(held: Held, show: CalendarShow, own: string | undefined, timezone: string): Days[] {
  const { columns } = held;
  const column = currencyColumn(show.currency, [show.value], columns);
  const isInstant = columnOf(columns, show.day).type === 'timestamp';
  // The day of an instant is that on the firm's clock; so several of them may be on one.
  const rows = isInstant ? held.rows.map((row) => onDays(row, columns.at(show.day), timezone)) : held.rows;
  const groups = fold(rows, columns, { measures: [show.value], by: show.day, currency: column });
  const currencies = currenciesOf(groups, own);
  return currencies.map((currency) => ({
    currency, reading: readingOf(show.value, held, { column, currency, isApart: currencies.length > 1 }),
    days: groups
      .flatMap((group) => {
        const value = group.values[0] ?? null;
        if (group.currency !== currency || group.by === null || value === null) return [];
        const apart: Record<string, Cell> = column !== undefined && currencies.length > 1 ? { [column]: currency } : {};
        return [{ day: String(group.by).slice(0, 10), value, pick: isInstant ? null : { [show.day]: group.by, ...apart } }];
      })
      .sort((a, b) => (a.day < b.day ? -1 : 1)),
  }));
}

function onDays(row: readonly Cell[], at: number, timezone: string): Cell[] {
  const instant = Date.parse(String(row[at] ?? ''));
  const day = Number.isNaN(instant) ? null : todayIn(timezone, instant);
  return row.map((cell, i) => (i === at ? day : cell));
}

const time = (day: string) => Date.parse(`${day}T00:00:00Z`);
const text = (at: number) => new Date(at).toISOString().slice(0, 10);
/** The Monday of the week in which a moment lies. */
const monday = (at: number) => at - ((new Date(at).getUTCDay() + 6) % WEEK) * DAY_MS;

export interface Span {
  from: string;
  to: string;
  /** Whether there are days before or after it. */
  isCut: boolean;
}

/**
 * The weeks that are shown where `most` of them fit: all from the first day to the last, else those up to
 * today if it is among them, with as many after it as have days and leave half of the room; else the last.
 * Null without days.
 */
export function spanOf(calendars: readonly Days[], today: string, most: number): Span | null {
  const days = calendars.flatMap((calendar) => calendar.days.map(({ day }) => time(day))).filter((at) => !Number.isNaN(at));
  if (days.length === 0) return null;
  const first = monday(days.reduce((least, at) => Math.min(least, at)));
  const last = monday(days.reduce((latest, at) => Math.max(latest, at)));
  const weeks = Math.round((last - first) / (WEEK * DAY_MS)) + 1;
  const room = Math.max(1, most);
  if (weeks <= room) return { from: text(first), to: text(last + (WEEK - 1) * DAY_MS), isCut: false };
  const now = monday(time(today));
  const isWithin = now >= first && now <= last;
  const end = isWithin ? Math.min(last, now + Math.floor(room / 2) * WEEK * DAY_MS) : last;
  const start = Math.max(first, end - (room - 1) * WEEK * DAY_MS);
  return { from: text(start), to: text(start + (room * WEEK - 1) * DAY_MS), isCut: true };
}
