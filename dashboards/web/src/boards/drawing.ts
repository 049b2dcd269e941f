/**
 * A chart of rows: how it is drawn, the same figures as a table, and which rows are behind what is pointed at.
 * Both come of the same numbers, so that they cannot differ.
 */
import type { EChartsCoreOption } from 'echarts/core';
import type { Palette } from '../charts/palette';
import { day, percent } from '../lib/format';
import type { Cell } from '../lib/protocol';
import { calendarsOf, spanOf } from './calendar';
import type { AgingShow, CalendarShow, FunnelShow, PieShow, Threshold, Tone, Widget } from './document';
import { shareOf, type Exact } from './exact';
import { currenciesOf, currencyColumn, fold } from './fold';
import type { Held } from './held';
import {
  calendarOption, calendarSeries, funnelOption, gaugeOption, pieOption, plotOption, seriesOf, weeksIn, type CourseKind,
  type Look,
} from './options';
import { figuresOf, funnelsOf, piesOf, type Whole } from './parts';
import { plotOf, readingAt, type Course, type Plot } from './plot';
import { amountText, labelOf, readingOf, titleOf, type Reading } from './reading';
import { toneOf } from './thresholds';
import { words } from './words';

/** Columns and what they equal in the rows behind a figure. */
export type Pick = Readonly<Record<string, Cell>>;

export interface FigureCell {
  text: string;
  tone: Tone | null;
}

export interface FigureLine {
  name: string;
  cells: FigureCell[];
  pick: Pick | null;
}

export interface FigureTable {
  head: string[];
  lines: FigureLine[];
}

export interface Drawing {
  /** Nothing to draw, although there may be rows; then why. */
  empty: string | null;
  option: (colours: Palette, narrow: boolean, width: number) => EChartsCoreOption;
  table: FigureTable;
  /** The rows behind the nth of the series of this id. */
  pickAt: (series: string, place: number) => Pick | null;
  /** What is not drawn, as a function of the width. */
  note: (width: number) => string | null;
}

export interface Around {
  /** The firm's currency, which comes first, and its time zone. */
  own: string | undefined;
  timezone: string;
  /** The date the figures are stated for. */
  today: string;
  still: boolean;
}

/** As many as can stand side by side. */
const MOST_SIDES = 4;

/** The drawing of a widget; null for the kinds that are none. */
export function drawingOf(widget: Widget, held: Held, around: Around): Drawing | null {
  const { show, thresholds = [] } = widget;
  switch (show.kind) {
    case 'line': case 'area': case 'bar': case 'stacked_bar':
      return plotted(plotOf(held, show, around.own, around.timezone), show.kind, thresholds, around);
    case 'aging': return plotted(agingOf(held, show, around.own), 'bar', thresholds, around);
    case 'pie':
      return whole('pie', piesOf(held, show, around.own, around.timezone), show, thresholds, around);
    case 'funnel':
      return whole('funnel', funnelsOf(held, show, around.own), show, thresholds, around);
    case 'gauge': {
      const figures = figuresOf(held, show, around.own);
      const shown = figures.slice(0, MOST_SIDES);
      const hasTarget = figures.some(({ other }) => other !== null && other > 0n);
      return {
        empty: hasTarget ? null : words.empty.target,
        option: (colours, narrow) => gaugeOption(shown, lookOf(colours, narrow, thresholds, around)),
        table: {
          head: ['', words.gauge.reached, words.gauge.target, words.gauge.share],
          lines: figures.map(({ reading, value, other, pick }) => ({
            name: figures.length > 1 ? currencyName(reading) : titleOf(show.value),
            cells: [
              cell(value, reading, thresholds), { text: amountText(other, reading), tone: null },
              { text: percent(value === null || other === null ? null : shareOf(value, other), 1), tone: null },
            ],
            pick,
          })),
        },
        pickAt: (series) => shown.find(({ currency }) => seriesOf('gauge', currency) === series)?.pick ?? null,
        note: () => sidesLeft(figures.length),
      };
    }
    case 'calendar': return dayed(held, show, thresholds, around);
    case 'kpi': case 'table': case 'text': return null;
  }
}

const lookOf = (
  colours: Palette, narrow: boolean, thresholds: readonly Threshold[], { still }: Around,
): Look => ({ colours, narrow, thresholds, still });

const currencyName = ({ currency }: Reading): string => (currency === null ? words.noCurrency : String(currency));

/** That there are more currencies than can stand side by side. */
const sidesLeft = (of: number): string | null =>
  of > MOST_SIDES ? words.widget.left(of - MOST_SIDES, words.widget.pies) : null;

const cell = (value: Exact | null, reading: Reading, thresholds: readonly Threshold[]): FigureCell => ({
  text: amountText(value, reading), tone: toneOf(value, thresholds),
});

function plotted(plot: Plot, kind: CourseKind, thresholds: readonly Threshold[], around: Around): Drawing {
  const points = plot.allKeys - plot.keys.length;
  const courses = plot.allCourses - plot.courses.length;
  const left = points > 0 ? words.widget.left(points, words.widget.points)
    : courses > 0 ? words.widget.left(courses, words.widget.lines) : null;
  return {
    empty: null,
    option: (colours, narrow) => plotOption(plot, kind, lookOf(colours, narrow, thresholds, around)),
    table: {
      head: [plot.by === '' ? '' : labelOf(plot.by), ...plot.courses.map(({ name }) => name)],
      lines: plot.names.map((name, place) => ({
        name, pick: keyPick(plot, place),
        cells: plot.courses.map((course) => cell(course.values[place] ?? null, readingAt(plot, course, place), thresholds)),
      })),
    },
    pickAt: (series, place) => {
      const [course, key] = [plot.courses.find(({ id }) => id === series), keyPick(plot, place)];
      return course && key ? { ...key, ...course.pick } : null;
    },
    note: () => left,
  };
}

/** The rows of one place along the axis; ages are columns, and all rows have them. */
function keyPick(plot: Plot, place: number): Pick | null {
  const key = plot.keys[place];
  if (key === undefined) return null;
  return plot.by === '' ? {} : { [plot.by]: key };
}

/** A bar for each age, beside each other for the currencies. */
export function agingOf(held: Held, show: AgingShow, own: string | undefined): Plot {
  const { columns } = held;
  const measures = show.buckets.map((column) => ({ column, how: 'sum' as const }));
  const currency = currencyColumn(show.currency, measures, columns);
  const groups = fold(held.rows, columns, { measures, currency });
  const currencies = currenciesOf(groups, own);
  const courses = currencies.flatMap((name): Course[] => {
    const group = groups.find((candidate) => candidate.currency === name);
    const [first] = measures;
    if (!group || !first) return [];
    const isApart = currency !== undefined && currencies.length > 1;
    return [{
      id: JSON.stringify(name), name: name === null ? words.noCurrency : String(name),
      reading: readingOf(first, held, { column: currency, currency: name, isApart }), stack: '',
      values: group.values, pick: isApart ? { [currency]: name } : {},
    }];
  });
  return {
    names: show.buckets.map(labelOf), keys: [...show.buckets], courses, allKeys: show.buckets.length,
    allCourses: courses.length, by: '', byType: 'int', currency: undefined,
  };
}

function whole(
  kind: 'pie' | 'funnel', wholes: readonly Whole[], { by, value: measure }: PieShow | FunnelShow,
  thresholds: readonly Threshold[], around: Around,
): Drawing {
  const draw = kind === 'pie' ? pieOption : funnelOption;
  const shown = wholes.slice(0, MOST_SIDES);
  const below = shown.reduce((all, one) => all + one.below, 0);
  const left = sidesLeft(wholes.length) ?? (below > 0 ? words.widget.left(below, words.widget.parts) : null);
  const isSeveral = wholes.length > 1;
  return {
    empty: null,
    option: (colours, narrow) => draw(shown, lookOf(colours, narrow, thresholds, around)),
    table: {
      head: [labelOf(by), titleOf(measure), words.gauge.share],
      lines: wholes.flatMap(({ parts, reading, sum }) => parts.map(({ name, value, pick }) => ({
        name: isSeveral ? `${name} · ${currencyName(reading)}` : name,
        cells: [cell(value, reading, thresholds), { text: percent(shareOf(value, sum), 1), tone: null }],
        pick,
      }))),
    },
    pickAt: (series, place) =>
      shown.find(({ currency }) => seriesOf(kind, currency) === series)?.parts[place]?.pick ?? null,
    note: () => left,
  };
}

function dayed(held: Held, show: CalendarShow, thresholds: readonly Threshold[], around: Around): Drawing {
  const all = calendarsOf(held, show, around.own, around.timezone);
  const calendars = all.slice(0, MOST_SIDES);
  const spanIn = (width: number) => spanOf(calendars, around.today, weeksIn(width));
  const isSeveral = all.length > 1;
  return {
    empty: spanIn(1000) === null ? words.empty.days : null,
    option: (colours, narrow, width) => {
      const span = spanIn(width);
      return span ? calendarOption(calendars, span, lookOf(colours, narrow, thresholds, around)) : {};
    },
    table: {
      head: [labelOf(show.day), titleOf(show.value)],
      lines: all.flatMap(({ days, reading }) => days.map((found) => ({
        name: isSeveral ? `${day(found.day)} · ${currencyName(reading)}` : day(found.day),
        cells: [cell(found.value, reading, thresholds)], pick: found.pick,
      }))),
    },
    pickAt: (series, place) => calendars.find((_, at) => calendarSeries(at) === series)?.days[place]?.pick ?? null,
    note: (width) => {
      const span = spanIn(width);
      const cut = span?.isCut ? words.widget.months(day(span.from), day(span.to)) : null;
      return [sidesLeft(all.length), cut].filter((said) => said !== null).join(' ') || null;
    },
  };
}

/** A chart in one sentence, for those who cannot see it: its first figures. */
export function summary(title: string, { lines, head }: FigureTable): string {
  const FEW = 8;
  const said = lines.slice(0, FEW).map(({ name, cells }) => {
    const figures = cells.map(({ text, tone }, i) => {
      const label = cells.length > 1 ? `${head[i + 1] ?? ''} ` : '';
      return `${label}${text}${tone === null ? '' : ` (${words.tones[tone]})`}`;
    });
    return `${name}: ${figures.join(', ')}`;
  });
  return `${title}. ${said.join('; ')}${lines.length > FEW ? '; …' : ''}`;
}

