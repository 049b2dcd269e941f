/** Upright bars with their figures written on them: no axes to read off, no legend to look up. */
import type { EChartsCoreOption } from 'echarts/core';
import { toNumber, type Decimal } from '../lib/decimal';
import { compact, money } from '../lib/format';
import { FONT, type Palette } from './palette';

export interface Bar {
  name: string;
  /** The name where there is little room. */
  short: string;
  value: Decimal;
  /** Where the bar begins; zero unless it floats. */
  from?: Decimal;
  colour: string;
  /** A second, quieter line of the label. */
  note: string;
}

export interface BarsShape {
  bars: readonly Bar[];
  unit: string;
  narrow: boolean;
  still: boolean;
}

interface Span {
  base: number;
  above: number;
  below: number;
}

/** A bar as stacked pieces: one unseen, one above zero and one below. */
export function span(from: number, to: number): Span {
  const low = Math.min(from, to);
  const high = Math.max(from, to);
  if (low >= 0) return { base: low, above: high - low, below: 0 };
  if (high <= 0) return { base: high, above: 0, below: low - high };
  return { base: 0, above: high, below: low };
}

export function barsOption(shape: BarsShape, colours: Palette): EChartsCoreOption {
  const { bars, narrow } = shape;
  const spans = bars.map((bar) => {
    const from = toNumber(bar.from ?? 0n);
    return span(from, from + toNumber(bar.value));
  });
  const label = (bar: Bar, above: boolean) => ({
    show: true,
    position: above ? 'top' : 'bottom',
    formatter: `{value|${compact(bar.value)}}\n{note|${bar.note}}`,
    rich: {
      value: { color: colours.ink, fontSize: narrow ? 12 : 14, fontWeight: 600, fontFamily: FONT, lineHeight: 18 },
      note: { color: colours.ink3, fontSize: narrow ? 10.5 : 11.5, fontFamily: FONT, lineHeight: 15 },
    },
  });
  const piece = (part: keyof Span, sign: 1 | -1) => ({
    type: 'bar',
    stack: 'bars',
    barCategoryGap: narrow ? '22%' : '34%',
    cursor: 'pointer',
    data: bars.map((bar, i) => {
      const wanted = bar.value < 0n && (bar.from ?? 0n) === 0n ? -1 : 1;
      const at = spans[i]?.[part] ?? 0;
      // The label sits on the piece that ends where the figure points.
      const labelled = wanted === sign && part !== 'base';
      return {
        value: at,
        itemStyle: { color: bar.colour, borderRadius: 2 },
        label: labelled ? label(bar, sign === 1) : { show: false },
      };
    }),
  });
  return {
    animation: !shape.still,
    animationDuration: 400,
    animationDurationUpdate: 500,
    animationEasingUpdate: 'cubicOut',
    grid: { left: 0, right: 0, top: 40, bottom: 24, containLabel: false },
    xAxis: {
      type: 'category',
      data: bars.map((bar) => (narrow ? bar.short : bar.name)),
      axisLine: { onZero: true, lineStyle: { color: colours.line } },
      axisTick: { show: false },
      axisLabel: {
        color: colours.ink2, fontFamily: FONT, fontSize: narrow ? 11 : 12, margin: 9, interval: 0,
      },
      triggerEvent: true,
    },
    yAxis: {
      type: 'value', show: false, splitLine: { show: false },
      // The bars fill the height: no round number is marked above them. A label below a bar that
      // ends under zero needs room of its own above the names.
      min: (extent: { min: number; max: number }) =>
        extent.min < 0 ? extent.min - (Math.max(0, extent.max) - extent.min) * 0.2 : 0,
      max: (extent: { max: number }) => Math.max(0, extent.max),
    },
    tooltip: {
      trigger: 'axis',
      renderMode: 'richText',
      axisPointer: { type: 'none' },
      backgroundColor: colours.ink,
      borderWidth: 0,
      padding: [7, 10],
      textStyle: { color: colours.surface, fontFamily: FONT, fontSize: 12 },
      formatter: (hit: unknown) => {
        const [first] = hit as { dataIndex: number }[];
        const bar = first ? bars[first.dataIndex] : undefined;
        return bar ? `${bar.name}  ${money(bar.value)} ${shape.unit}` : '';
      },
    },
    series: [
      { ...piece('base', 1), silent: true, data: spans.map((s) => ({ value: s.base, itemStyle: { color: 'transparent' } })), tooltip: { show: false } },
      piece('above', 1),
      piece('below', -1),
    ],
  };
}
