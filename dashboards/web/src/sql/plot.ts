/** A result as a chart: which columns, which points, and how they are drawn. */
import type { EChartsCoreOption } from 'echarts/core';
import { FONT, type Palette } from '../charts/palette';
import type { Cell, Column, Row } from '../lib/protocol';
import { cellText, isNumber } from './cells';
import { words } from './words';

export type PlotKind = 'bars' | 'stacked' | 'line';

/** Columns by their place in the result. */
export interface Plot {
  kind: PlotKind;
  x: number;
  ys: readonly number[];
  /** A column each of whose values is a line of its own; then there is one figure. */
  split: number | null;
}

export const MOST_POINTS = 500;
export const MOST_LINES = 8;

const isTime = (type: string) => type === 'date' || type === 'timestamp';

/** What a result most likely is meant to show; null where there is no figure in it. */
export function guess(columns: readonly Column[]): Plot | null {
  const figures = columns.flatMap(({ type }, i) => (isNumber(type) ? [i] : []));
  const time = columns.findIndex(({ type }) => isTime(type));
  const text = columns.findIndex(({ type }) => !isNumber(type) && !isTime(type));
  const x = time >= 0 ? time : text >= 0 ? text : 0;
  const ys = figures.filter((place) => place !== x).slice(0, 1);
  if (ys.length === 0) return null;
  const split = time >= 0 && text >= 0 ? text : null;
  return { kind: time >= 0 ? 'line' : 'bars', x, ys, split };
}

export interface Line {
  name: string;
  /** A cell for each point; null where there is none. */
  cells: Cell[];
}

export interface Points {
  names: string[];
  lines: Line[];
  /** How many points and lines there are in all. */
  points: number;
  allLines: number;
}

/** The points of a chart in the order of the rows, those with time in order of time. */
export function pointsOf(columns: readonly Column[], rows: readonly Row[], plot: Plot): Points {
  const nameOf = (row: Row, place: number) => {
    const cell = row[place] ?? null;
    return cell === null ? words.chart.nothing : String(cell);
  };
  const isOverTime = isTime(columns[plot.x]?.type ?? '');
  const all = [...new Set(rows.map((row) => nameOf(row, plot.x)))];
  if (isOverTime) all.sort();
  const names = all.slice(0, MOST_POINTS);
  const placeOf = new Map(names.map((name, i) => [name, i]));
  const lines = new Map<string, Line>();
  const put = (line: string, point: string, cell: Cell) => {
    const place = placeOf.get(point);
    if (place === undefined) return;
    const known = lines.get(line) ?? { name: line, cells: names.map(() => null) };
    lines.set(line, known);
    // The first row of a point counts: figures of several are not added up, since that may mean nothing.
    known.cells[place] ??= cell;
  };
  for (const row of rows) {
    for (const y of plot.split === null ? plot.ys : plot.ys.slice(0, 1)) {
      const line = plot.split === null ? columns[y]?.name ?? '' : nameOf(row, plot.split);
      put(line, nameOf(row, plot.x), row[y] ?? null);
    }
  }
  return {
    names, lines: [...lines.values()].slice(0, MOST_LINES), points: all.length, allLines: lines.size,
  };
}

/** An approximation, for the place of a point alone. */
const height = (cell: Cell) => (cell === null ? null : Number(cell));

function strokes(colours: Palette): string[] {
  return [colours.accent, colours.warn, colours.bar2, colours.bad, colours.ink2, colours.bar, colours.ink3, colours.ink];
}

export interface PlotShape {
  points: Points;
  kind: PlotKind;
  /** The type of the figures, by which they read. */
  type: string;
  narrow: boolean;
  still: boolean;
}

export function plotOption({ points, kind, type, narrow, still }: PlotShape, colours: Palette): EChartsCoreOption {
  const text = { color: colours.ink2, fontFamily: FONT, fontSize: narrow ? 10.5 : 11.5 };
  return {
    animation: !still,
    animationDuration: 300,
    color: strokes(colours),
    grid: { left: 8, right: 16, top: points.lines.length > 1 ? 36 : 16, bottom: 8, containLabel: true },
    legend: points.lines.length > 1
      ? { type: 'scroll', top: 0, textStyle: text, icon: 'roundRect', itemWidth: 12, itemHeight: 8, pageTextStyle: text }
      : { show: false },
    xAxis: {
      type: 'category', data: points.names, axisTick: { show: false },
      axisLine: { lineStyle: { color: colours.line } }, axisLabel: { ...text, hideOverlap: true },
    },
    yAxis: {
      type: 'value', axisLabel: text, splitLine: { lineStyle: { color: colours.line, opacity: 0.5 } },
    },
    tooltip: {
      trigger: 'axis', renderMode: 'richText', confine: true,
      axisPointer: { type: kind === 'line' ? 'line' : 'shadow' },
      backgroundColor: colours.ink, borderWidth: 0, padding: [7, 10],
      textStyle: { color: colours.surface, fontFamily: FONT, fontSize: 12 },
      // The figures as they came, exactly.
      formatter: (hits: unknown) => {
        const at = (hits as { dataIndex: number }[])[0]?.dataIndex ?? 0;
        const lines = points.lines.map(({ name, cells }) => `${name}  ${cellText(cells[at], type)}`);
        return [points.names[at] ?? '', ...lines].join('\n');
      },
    },
    series: points.lines.map(({ name, cells }) => ({
      name,
      type: kind === 'line' ? 'line' : 'bar',
      ...(kind === 'stacked' ? { stack: 'all' } : {}),
      data: cells.map(height),
      showSymbol: points.names.length <= 60,
      connectNulls: false,
      barMaxWidth: 48,
      lineStyle: { width: 2 },
    })),
  };
}
