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

/** Numbers whose names say more than their type. */
const KINDS: Record<string, Kind> = {
  hours: 'hours', billable_hours: 'hours', capacity: 'hours', on_hand: 'quantity', reorder_point: 'quantity',
  quantity: 'quantity', qty: 'quantity', margin: 'percent', used: 'percent', utilization: 'percent',
};

/** What stands under a name in a table of words, and nothing that every object has. */
function wordOf<T>(words: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(words, name) ? words[name] : undefined;
}

/** Whether cells of a type are numbers. */
export function isNumberType(type: string): boolean {
  return type === 'int' || type === 'decimal' || type === 'float';
}

/** How a column reads: by its type, and by its name where that says more of a number. */
export function kindOf({ name, type }: Column): Kind {
  const named = isNumberType(type) ? wordOf(KINDS, name) : undefined;
  if (named !== undefined) return named;
  switch (type) {
    case 'decimal': return 'money';
    case 'int': return 'count';
    case 'float': return 'quantity';
    case 'date': return 'day';
    case 'timestamp': return 'moment';
    case 'bool': return 'flag';
    default: return name === 'bucket' ? 'bucket' : 'text';
  }
}

/** The table that an address of the page leads to. */
export function tableAt(page: string): Table | undefined {
  return wordOf(tables, page);
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
  return wordOf(titlesOf, view) ?? format.capitalized(view.replaceAll('_', ' '));
}

export function columnLabel(name: string): string {
  return wordOf(texts.rows.columns, name) ?? name.replaceAll('_', ' ');
}

const buckets: Record<string, string> = texts.aging.buckets;

/** What a cell is read with. */
export interface Around {
  /** The currency of an amount; without one it has all places that say something. */
  currency?: Cell | undefined;
  /** The clock on which instants are read; without one, that of the world. */
  timezone?: string | undefined;
}

/** A cell as it is read, and as the filter sees it. What is no number, where one should be, reads as it is. */
export function cellText(cell: Cell | undefined, kind: Kind, { currency, timezone }: Around = {}): string {
  if (cell === null || cell === undefined || cell === '') return texts.rows.nothing;
  switch (kind) {
    case 'day': return format.day(String(cell));
    case 'moment':
      return timezone === undefined ? `${format.moment(String(cell), 'UTC')} UTC` : format.moment(String(cell), timezone);
    case 'flag': return cell === true ? texts.rows.yes : texts.rows.no;
    case 'bucket': return wordOf(buckets, String(cell)) ?? String(cell);
    case 'text': return String(cell);
    default:
  }
  const value = readRatio(cell);
  if (value === null) return String(cell);
  switch (kind) {
    case 'money': return format.amount(value, currency);
    case 'hours': return format.hours(value);
    case 'percent': return format.percent(value, 1);
    case 'count': return format.count(Number(cell));
    default: return format.quantity(value);
  }
}

/** A number with all its places, where its text leaves some out; undefined where it does not. */
export function exactOf(cell: Cell | undefined, kind: Kind, { currency }: Around = {}): string | undefined {
  const value = readRatio(cell);
  const places = /^[^.e]+\.(\d*?)0*$/.exec(String(cell))?.[1]?.length ?? 0;
  if (value === null || places <= placesShown(kind, currency)) return undefined;
  return kind === 'percent' ? format.share(value, { places: SCALE, trim: true }) : format.exact(String(cell));
}

/** How many places of a number its text has at most. */
function placesShown(kind: Kind, currency: Cell | undefined): number {
  switch (kind) {
    case 'money': return format.placesOf(currency) ?? SCALE;
    case 'hours': return format.HOURS.places;
    // Hundredths, and one place of them.
    case 'percent': return 3;
    case 'count': return 0;
    case 'quantity': return SCALE;
    default: return Infinity;
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

/** The same; null for what is no number. */
export function readRatio(cell: Cell | undefined): bigint | null {
  const text = String(cell);
  const isNumber = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text) && Number.isFinite(Number(text));
  return isNumber ? parseRatio(text) : null;
}

export function isNumeric(kind: Kind): boolean {
  return kind !== 'text' && kind !== 'flag' && kind !== 'day' && kind !== 'moment' && kind !== 'bucket';
}

/** Something to sort by: numbers as numbers, days and text as text, nothing last of all. */
export function sortKey(cell: Cell | undefined, kind: Kind): bigint | number | string | null {
  if (cell === null || cell === undefined) return null;
  if (kind === 'count') return Number(cell);
  if (kind === 'flag') return cell === true ? 1 : 0;
  return isNumeric(kind) ? readRatio(cell) : String(cell);
}
