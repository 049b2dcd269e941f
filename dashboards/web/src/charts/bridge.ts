/** From what was invoiced to what is left of it, in bars that begin where the last one ended. */
import type { EChartsCoreOption } from 'echarts/core';
import { share, type Decimal } from '../lib/decimal';
import { money, percent } from '../lib/format';
import { texts } from '../lib/texts';
import { barsOption, type Bar, type BarsShape } from './bars';
import type { Palette } from './palette';

export interface Step {
  name: string;
  value: Decimal;
  /** Where the bar begins. */
  from: Decimal;
  /** Its share of the revenue. */
  note: string;
}

const COSTS = [
  [texts.projects.labour, 'labour_cost'],
  [texts.projects.material, 'material_cost'],
  [texts.projects.expenses, 'expenses'],
] as const;

/** The steps from the revenue to the profit, by the columns of what projects earn. */
export function bridge(sum: (column: string) => Decimal): Step[] {
  const revenue = sum('revenue');
  const of = (value: Decimal) => percent(share(value, revenue));
  let level = revenue;
  const costs = COSTS.map(([name, column]): Step => {
    const step = { name, value: -sum(column), from: level, note: of(sum(column)) };
    level -= sum(column);
    return step;
  });
  const profit = sum('profit');
  return [
    { name: texts.projects.revenue, value: revenue, from: 0n, note: '' },
    ...costs,
    { name: texts.projects.profit, value: profit, from: 0n, note: of(profit) },
  ];
}

export function bridgeOption(
  steps: readonly Step[], shape: Omit<BarsShape, 'bars'>, colours: Palette,
): EChartsCoreOption {
  const last = steps.length - 1;
  const bars: Bar[] = steps.map((step, i) => ({
    ...step,
    short: step.name,
    colour: i === 0 ? colours.bar2 : i < last ? colours.bar : step.value < 0n ? colours.bad : colours.accent,
  }));
  return barsOption({ ...shape, bars }, colours);
}

/** The same for those who cannot see it. */
export function bridgeText(steps: readonly Step[], unit: string): string {
  return steps.map((step) => `${step.name}: ${money(step.value)} ${unit}`).join('; ');
}
