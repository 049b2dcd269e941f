/** The rows behind the tiles: which view, under which name, and how each column reads. */
import { ONE, parseDecimal, SCALE } from './decimal';
import * as format from './format';
import { address, projectAddress } from './place';
import type { Cell, Column } from './protocol';
import { texts } from './texts';

export type Kind =
  | 'text' | 'money' | 'quantity' | 'hours' | 'percent' | 'count' | 'day' | 'moment' | 'flag' | 'bucket';

export interface Table {
  view: string;
  title: string;
  /** The column sorted by at first; a minus for descending. */
  sort: string;
  /** The columns that lead; the others follow in the order they come. */
  leading: readonly string[];
  /** What a narrow screen shows. */
  narrow: readonly string[];
  /** Columns that are added up in the last line. */
  totals: readonly string[];
  /** Where a row leads, by its value in a column. */
  leads?: { by: string; to: (value: Cell) => string };
  /** Rows of which nobody but SQL says what is behind a figure: the tenant's own views, and answers. */
  isUnexplained?: boolean;
}

const { titles } = texts.rows;
const toProject = { by: 'project_id', to: (id: Cell) => projectAddress(String(id)) };

export const tables: Record<string, Table> = {
  customers: {
    view: 'ar_aging', title: titles.ar_aging, sort: '-total',
    leading: ['customer_id', 'total'], narrow: ['customer_id', 'total', 'd90_plus'],
    totals: ['current', 'd1_30', 'd31_60', 'd61_90', 'd90_plus', 'total'],
    leads: { by: 'customer_id', to: (customer_id) => address('invoices', { customer_id }) },
  },
  invoices: {
    view: 'open_invoices', title: titles.open_invoices, sort: '-days_overdue',
    leading: ['invoice_id', 'customer_id', 'balance', 'currency', 'days_overdue', 'bucket', 'due_date'],
    narrow: ['invoice_id', 'balance', 'days_overdue'],
    totals: ['amount', 'paid', 'credited', 'balance'],
  },
  projects: {
    view: 'project_profitability', title: titles.project_profitability, sort: '-profit',
    leading: ['name', 'currency', 'revenue', 'labour_cost', 'material_cost', 'expenses', 'profit', 'margin'],
    narrow: ['name', 'profit', 'margin'],
    totals: ['revenue', 'labour_cost', 'material_cost', 'expenses', 'profit'],
    leads: toProject,
  },
  pipeline: {
    view: 'pipeline', title: titles.pipeline, sort: '-amount',
    leading: ['stage'], narrow: ['stage', 'opportunities', 'amount'], totals: [],
  },
  routines: {
    view: 'completion_streaks', title: titles.completion_streaks, sort: '-current_streak',
    leading: ['user_id', 'task_id'], narrow: ['user_id', 'task_id', 'current_streak'], totals: [],
  },
  stock: {
    view: 'inventory_levels', title: titles.inventory_levels, sort: '-below_reorder',
    leading: ['name', 'warehouse', 'on_hand', 'reorder_point', 'below_reorder', 'value'],
    narrow: ['name', 'on_hand', 'reorder_point'], totals: ['value'],
  },
  departments: {
    view: 'headcount', title: titles.headcount, sort: '-active',
    leading: ['department'], narrow: ['department', 'active', 'joined_30d'], totals: ['active', 'joined_30d', 'left_30d'],
  },
  hours: {
    view: 'labour_hours', title: titles.labour_hours, sort: '-hours',
    leading: ['project_id'], narrow: ['project_id', 'hours', 'billable_hours'], totals: ['hours', 'billable_hours'],
    leads: toProject,
  },
  budgets: {
    view: 'budget_variance', title: titles.budget_variance, sort: '-used',
    leading: ['project_id', 'currency', 'budget', 'spent', 'variance', 'used', 'exceeded'],
    narrow: ['project_id', 'variance', 'used'], totals: ['budget', 'spent', 'variance'],
    leads: toProject,
  },
  utilization: {
    view: 'utilization', title: titles.utilization, sort: '-week',
    leading: ['employee_id', 'week', 'utilization', 'billable_hours', 'hours', 'capacity'],
    narrow: ['employee_id', 'week', 'utilization'], totals: ['hours', 'billable_hours'],
  },
  compliance: {
    view: 'compliance_failures', title: titles.compliance_failures, sort: '-failed_at',
    leading: ['check_id', 'rule', 'project_id', 'failed_at'], narrow: ['check_id', 'rule'], totals: [],
  },
};

const KINDS: Record<string, Kind> = {
  hours: 'hours', billable_hours: 'hours', capacity: 'hours', on_hand: 'quantity', reorder_point: 'quantity',
  margin: 'percent', used: 'percent', utilization: 'percent', bucket: 'bucket', failed_at: 'moment',
};

/** How a column reads: by its name where the name says more than the type. */
export function kindOf(column: Column): Kind {
  const named = KINDS[column.name];
  if (named) return named;
  switch (column.type) {
    case 'decimal': return 'money';
    case 'int': return 'count';
    case 'float': return 'quantity';
    case 'date': return 'day';
    case 'bool': return 'flag';
    default: return 'text';
  }
}

/** A view that no tile leads to, as a table. */
export function plainTable(view: string, columns: readonly Column[], isUnexplained: boolean): Table {
  const names = columns.map(({ name }) => name);
  return {
    view, title: viewTitle(view), sort: names[0] ?? '', leading: [], narrow: names.slice(0, 3), totals: [], isUnexplained,
  };
}

const titlesOf: Record<string, string> = titles;

/** What a view is called. */
export function viewTitle(view: string): string {
  return titlesOf[view] ?? format.capitalized(view.replaceAll('_', ' '));
}

export function columnLabel(name: string): string {
  return texts.rows.columns[name] ?? name.replaceAll('_', ' ');
}

const buckets: Record<string, string> = texts.aging.buckets;

/** A cell as it is read, and as the filter sees it. */
export function cellText(cell: Cell | undefined, kind: Kind): string {
  if (cell === null || cell === undefined || cell === '') return texts.rows.nothing;
  switch (kind) {
    case 'money': return format.cents(parseRatio(String(cell)));
    case 'quantity': return format.quantity(parseRatio(String(cell)));
    case 'hours': return format.hours(parseRatio(String(cell)));
    case 'percent': return format.percent(parseRatio(String(cell)), 1);
    case 'count': return format.count(Number(cell));
    case 'day': return format.day(String(cell));
    case 'moment': return `${format.moment(String(cell), 'UTC')} UTC`;
    case 'flag': return cell === true ? texts.rows.yes : texts.rows.no;
    case 'bucket': return buckets[String(cell)] ?? String(cell);
    default: return String(cell);
  }
}

/**
 * Ratios, and figures of the tenant's own SQL, may have more places than amounts do; those beyond the fourth
 * are not shown. Floats may have an exponent.
 */
export function parseRatio(text: string): bigint {
  const number = /e/i.test(text) ? Number(text) : null;
  if (number !== null && Math.abs(number) >= 1e21) return BigInt(number) * ONE;
  return parseDecimal((number?.toFixed(SCALE) ?? text).replace(/(\.\d{4})\d+$/, '$1'));
}

export function isNumeric(kind: Kind): boolean {
  return kind !== 'text' && kind !== 'flag' && kind !== 'day' && kind !== 'moment' && kind !== 'bucket';
}

/** Something to sort by: numbers as numbers, days and text as text, nothing last of all. */
export function sortKey(cell: Cell | undefined, kind: Kind): bigint | number | string | null {
  if (cell === null || cell === undefined) return null;
  if (kind === 'count') return Number(cell);
  if (kind === 'flag') return cell === true ? 1 : 0;
  return isNumeric(kind) ? parseRatio(String(cell)) : String(cell);
}
