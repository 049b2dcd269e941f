/** What is drawn, in the words of the chart library. Numbers there are for geometry alone; texts are exact. */
import type { EChartsCoreOption } from 'echarts/core';
import { FONT, type Palette } from '../charts/palette';
import { percent } from '../lib/format';
import type { Cell } from '../lib/protocol';
import type { Threshold } from './document';
import type { Days, Span } from './calendar';
import { mixed, seriesColours, toneColour } from './colours';
import { shareOf, toNumber } from './exact';
import type { Figure, Whole } from './parts';
import { readingAt, type Plot } from './plot';
import { amountText, axisText, type Reading } from './reading';
import { toneOf } from './thresholds';
import { words } from './words';

export interface Look {
  colours: Palette;
  narrow: boolean;
  /** Without movement. */
  still: boolean;
  thresholds: readonly Threshold[];
}

const base = ({ still, colours }: Look) => ({
  animation: !still, animationDuration: 300, animationDurationUpdate: 400, color: seriesColours(colours),
});

const textStyle = ({ colours, narrow }: Look) => ({
  color: colours.ink2, fontFamily: FONT, fontSize: narrow ? 10.5 : 11.5,
});

const tooltip = ({ colours }: Look) => ({
  renderMode: 'richText', confine: true, backgroundColor: colours.ink, borderWidth: 0, padding: [7, 10],
  textStyle: { color: colours.surface, fontFamily: FONT, fontSize: 12 },
});

const legend = (look: Look) => ({
  type: 'scroll', top: 0, left: 0, textStyle: textStyle(look), icon: 'roundRect', itemWidth: 12, itemHeight: 8,
  pageTextStyle: textStyle(look), pageIconColor: look.colours.ink2, pageIconInactiveColor: look.colours.line,
});

const said = (name: string, text: string, tone: string | null) => `${name}  ${text}${tone === null ? '' : `  (${tone})`}`;

export type CourseKind = 'line' | 'area' | 'bar' | 'stacked_bar';

export function plotOption(plot: Plot, kind: CourseKind, look: Look): EChartsCoreOption {
  const { colours, thresholds } = look;
  const isBar = kind === 'bar' || kind === 'stacked_bar';
  const isStacked = kind === 'area' || kind === 'stacked_bar';
  // Names are read from left to right; days and numbers stand along the bottom.
  const isLying = isBar && (plot.byType === 'text' || plot.byType === 'bool');
  const hasLegend = plot.courses.length > 1;
  const text = textStyle(look);
  const names = {
    type: 'category', data: plot.names, axisTick: { show: false }, axisLine: { lineStyle: { color: colours.line } },
    axisLabel: isLying ? { ...text, width: look.narrow ? 96 : 130, overflow: 'truncate' } : { ...text, hideOverlap: true },
    ...(isLying ? { inverse: true } : {}),
  };
  const unit = plot.courses[0]?.reading.kind ?? 'count';
  const sizes = {
    type: 'value', splitLine: { lineStyle: { color: colours.line, opacity: 0.5 } },
    axisLabel: { ...text, hideOverlap: true, formatter: (value: number) => axisText(value, unit) },
    splitNumber: isLying || look.narrow ? 3 : 4,
  };
  return {
    ...base(look),
    grid: { left: 4, right: 14, top: hasLegend ? 32 : 10, bottom: 4, containLabel: true },
    legend: hasLegend ? legend(look) : { show: false },
    xAxis: isLying ? sizes : names,
    yAxis: isLying ? names : sizes,
    tooltip: {
      ...tooltip(look), trigger: 'axis', axisPointer: { type: isBar ? 'shadow' : 'line' },
      formatter: (hits: unknown) => {
        const at = (hits as { dataIndex: number }[])[0]?.dataIndex ?? 0;
        const lines = plot.courses.map((course) => {
          const value = course.values[at] ?? null;
          const tone = toneOf(value, thresholds);
          return said(course.name, amountText(value, readingAt(plot, course, at)), tone && words.tones[tone]);
        });
        return [plot.names[at] ?? '', ...lines].join('\n');
      },
    },
    series: plot.courses.map(({ id, name, values, stack }) => ({
      id, name, type: isBar ? 'bar' : 'line', cursor: 'pointer',
      ...(isStacked ? { stack } : {}),
      ...(kind === 'area' ? { areaStyle: { opacity: 0.28 } } : {}),
      ...(isBar ? { barMaxWidth: 34, itemStyle: { borderRadius: 2 } } : { lineStyle: { width: 2 }, symbolSize: 6 }),
      showSymbol: plot.names.length <= 40,
      connectNulls: false,
      data: values.map((value) => {
        const tone = toneOf(value, thresholds);
        // What is stacked upon nothing stands on the ground.
        const drawn = value === null ? (kind === 'area' ? 0 : null) : toNumber(value);
        return tone === null ? drawn : { value: drawn, itemStyle: { color: toneColour(tone, colours) } };
      }),
    })),
  };
}

/** The middle of the nth of several that stand side by side, as a share of the width. */
const middle = (at: number, of: number) => `${((at + 0.5) / of) * 100}%`;

const heading = (text: string, at: number, of: number, look: Look) => ({
  text, left: middle(at, of), top: 0, textAlign: 'center', textStyle: { ...textStyle(look), fontWeight: 600 },
});

const currencyName = (reading: Reading) => (reading.currency === null ? words.noCurrency : String(reading.currency));

/**
 * What names a series, whatever place it has: the library leaves one that was there at its place when others
 * come before it.
 */
export const seriesOf = (kind: 'pie' | 'funnel' | 'gauge', currency: Cell) => `${kind} ${JSON.stringify(currency)}`;
/** Calendars go by their place, since their colours do. */
export const calendarSeries = (at: number) => `days ${at}`;

/** What is pointed at, as the library tells it. */
interface Hit {
  seriesId?: string;
  dataIndex: number;
}

/** The currencies over several that stand side by side; none over one alone. */
const headings = (readings: readonly Reading[], look: Look) =>
  readings.length < 2 ? [] : readings.map((reading, i) => heading(currencyName(reading), i, readings.length, look));

export function pieOption(wholes: readonly Whole[], look: Look): EChartsCoreOption {
  const { colours, thresholds } = look;
  const size = Math.round(72 / Math.max(1, wholes.length * 0.75));
  return {
    ...base(look),
    title: headings(wholes.map(({ reading }) => reading), look),
    legend: { show: false },
    tooltip: {
      ...tooltip(look), trigger: 'item',
      formatter: (hit: unknown) => {
        const { seriesId, dataIndex } = hit as Hit;
        const whole = wholes.find(({ currency }) => seriesOf('pie', currency) === seriesId);
        const part = whole?.parts[dataIndex];
        if (!whole || !part) return '';
        const tone = toneOf(part.value, thresholds);
        const text = `${amountText(part.value, whole.reading)} · ${percent(shareOf(part.value, whole.sum), 1)}`;
        return said(part.name, text, tone && words.tones[tone]);
      },
    },
    series: wholes.map((whole, i) => ({
      id: seriesOf('pie', whole.currency), type: 'pie', cursor: 'pointer',
      center: [middle(i, wholes.length), '54%'], radius: [`${Math.round(size * 0.55)}%`, `${size}%`],
      itemStyle: { borderColor: colours.surface, borderWidth: 2 },
      label: { ...textStyle(look), overflow: 'truncate', width: look.narrow ? 64 : 110, formatter: '{b}' },
      labelLine: { length: 8, length2: 6, lineStyle: { color: colours.line } },
      data: whole.parts.map(({ name, value }) => {
        const tone = toneOf(value, thresholds);
        return { name, value: toNumber(value), ...(tone ? { itemStyle: { color: toneColour(tone, colours) } } : {}) };
      }),
    })),
  };
}

export function funnelOption(wholes: readonly Whole[], look: Look): EChartsCoreOption {
  const { colours, thresholds } = look;
  const width = 100 / Math.max(1, wholes.length);
  return {
    ...base(look),
    title: headings(wholes.map(({ reading }) => reading), look),
    tooltip: {
      ...tooltip(look), trigger: 'item',
      formatter: (hit: unknown) => {
        const { seriesId, dataIndex } = hit as Hit;
        const whole = wholes.find(({ currency }) => seriesOf('funnel', currency) === seriesId);
        const part = whole?.parts[dataIndex];
        if (!whole || !part) return '';
        const tone = toneOf(part.value, thresholds);
        return said(part.name, amountText(part.value, whole.reading), tone && words.tones[tone]);
      },
    },
    series: wholes.map((whole, i) => ({
      id: seriesOf('funnel', whole.currency), type: 'funnel', cursor: 'pointer',
      // In the order that was asked for, whatever is widest.
      sort: 'none', gap: 3, minSize: '2%', maxSize: '100%',
      left: `${i * width + 2}%`, width: `${width - 4}%`, top: wholes.length > 1 ? 24 : 4, bottom: 4,
      label: {
        ...textStyle(look), position: 'inside', color: colours.ink, textBorderColor: colours.surface, textBorderWidth: 3,
        formatter: (hit: { dataIndex: number }) => {
          const part = whole.parts[hit.dataIndex];
          return part ? `${part.name}  ${amountText(part.value, whole.reading)}` : '';
        },
      },
      itemStyle: { borderWidth: 0 },
      data: whole.parts.map(({ name, value }, place) => {
        const tone = toneOf(value, thresholds);
        const shade = mixed(colours.accent, colours.surface, Math.min(0.72, 0.14 * place));
        return { name, value: toNumber(value), itemStyle: { color: tone ? toneColour(tone, colours) : shade } };
      }),
    })),
  };
}

export function gaugeOption(figures: readonly Figure[], look: Look): EChartsCoreOption {
  const { colours, thresholds } = look;
  return {
    ...base(look),
    title: headings(figures.map(({ reading }) => reading), look),
    series: figures.map(({ currency, reading, value, other }, i) => {
      const share = value === null || other === null ? null : shareOf(value, other);
      const tone = toneOf(value, thresholds);
      const reached = share === null ? 0 : Math.min(100, Math.max(0, Number(share) / 100));
      return {
        id: seriesOf('gauge', currency), type: 'gauge', cursor: 'pointer', min: 0, max: 100,
        startAngle: 200, endAngle: -20, center: [middle(i, figures.length), '64%'],
        radius: `${Math.round(96 / Math.max(1, figures.length * 0.7))}%`,
        progress: { show: true, width: 14, itemStyle: { color: tone ? toneColour(tone, colours) : colours.accent } },
        axisLine: { lineStyle: { width: 14, color: [[1, mixed(colours.line, colours.surface, 0.4)]] } },
        pointer: { show: false }, axisTick: { show: false }, splitLine: { show: false }, axisLabel: { show: false },
        anchor: { show: false },
        title: { show: true, offsetCenter: [0, '26%'], ...textStyle(look) },
        detail: {
          offsetCenter: [0, '-8%'], color: colours.ink, fontFamily: FONT, fontSize: look.narrow ? 20 : 26, fontWeight: 600,
          formatter: () => percent(share, 0),
        },
        data: [{ value: reached, name: words.gauge.of(amountText(value, reading), amountText(other, reading)) }],
      };
    }),
  };
}

/** The height of a day of a calendar, and how many weeks fit a width. */
export const CELL = 17;
export function weeksIn(width: number): number {
  return Math.max(4, Math.floor((width - 48) / CELL));
}

export function calendarOption(calendars: readonly Days[], span: Span, look: Look): EChartsCoreOption {
  const { colours, thresholds } = look;
  const text = textStyle(look);
  const isSeveral = calendars.length > 1;
  const tall = 7 * CELL + 42;
  const topOf = (i: number) => i * tall + (isSeveral ? 36 : 22);
  return {
    ...base(look),
    title: isSeveral
      ? calendars.map(({ reading }, i) => ({
        text: currencyName(reading), left: 0, top: i * tall, textStyle: { ...text, fontWeight: 600 },
      }))
      : [],
    tooltip: {
      ...tooltip(look),
      formatter: (hit: unknown) => {
        const { seriesId, dataIndex } = hit as Hit;
        const calendar = calendars.find((_, at) => calendarSeries(at) === seriesId);
        const found = calendar?.days[dataIndex];
        if (!calendar || !found) return '';
        const tone = toneOf(found.value, thresholds);
        return said(found.day, amountText(found.value, calendar.reading), tone && words.tones[tone]);
      },
    },
    visualMap: calendars.map(({ days }, i) => {
      const sizes = days.map(({ value }) => toNumber(value));
      return {
        id: `shade ${i}`, type: 'continuous', show: false, seriesIndex: i,
        min: Math.min(0, ...sizes), max: Math.max(1e-9, ...sizes),
        inRange: { color: [mixed(colours.accent, colours.surface, 0.86), colours.accent] },
      };
    }),
    calendar: calendars.map((_, i) => ({
      id: `calendar ${i}`, range: [span.from, span.to], top: topOf(i), left: 34, cellSize: [CELL, CELL],
      splitLine: { lineStyle: { color: colours.line, width: 1 } },
      itemStyle: { color: colours.surface, borderColor: mixed(colours.line, colours.surface, 0.6), borderWidth: 1 },
      dayLabel: { ...text, firstDay: 1 }, monthLabel: text, yearLabel: { show: false },
    })),
    series: calendars.map(({ days }, i) => ({
      id: calendarSeries(i), type: 'heatmap', coordinateSystem: 'calendar', calendarIndex: i, cursor: 'pointer',
      data: days.map(({ day, value }) => {
        const tone = toneOf(value, thresholds);
        return {
          value: [day, toNumber(value)],
          ...(tone ? { itemStyle: { borderColor: toneColour(tone, colours), borderWidth: 2 } } : {}),
        };
      }),
    })),
  };
}
