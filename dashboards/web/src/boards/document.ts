/**
 * The document of a dashboard, as the service keeps it: `DashboardDocument` of its interface, version 1.
 * What may be wrong in one is told by the service alone; here it only has its names.
 */
import type { Cell } from '../lib/protocol';

/** The version of the schema that is read and written. */
export const SCHEMA = 1;
/** How wide the grid is. */
export const COLUMNS = 12;
/** The most widgets of a dashboard. */
export const MOST_WIDGETS = 60;
/** The most filters of a dashboard. */
export const MOST_FILTERS = 12;
/** How tall a widget may be, in rows. */
export const MOST_ROWS = 24;

export interface DashboardDocument {
  schema: typeof SCHEMA;
  /** What it is for. */
  about?: string;
  filters: readonly Filter[];
  widgets: readonly Widget[];
}

export const FILTER_TYPES = ['text', 'int', 'decimal', 'date', 'timestamp', 'bool'] as const;
export type FilterType = (typeof FILTER_TYPES)[number];

/** A choice above a dashboard that all its widgets share. */
export interface Filter {
  id: string;
  title: string;
  /** The column that it compares, of every view that has it; without one it is for parameters alone. */
  column?: string;
  type: FilterType;
  /** What it is at first; of a date also words in double braces. */
  default?: Cell;
}

/** Where a widget lies, in cells of the grid. */
export interface Place {
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface Widget {
  id: string;
  title: string;
  about?: string;
  at: Place;
  /** Whose rows it shows; a text has none. */
  source?: Source;
  show: Show;
  thresholds?: readonly Threshold[];
}

/** Whose rows are shown: those of a view, or the answer to SQL. */
export type Source = ViewSource | SqlSource;

export interface ViewSource {
  view: string;
  /** Columns and what they equal. */
  where?: Readonly<Record<string, Cell>>;
}

export interface SqlSource {
  sql: string;
  /** What `$1`, `$2` and so on are. */
  params?: readonly Param[];
}

export type Param = { filter: string } | { value: Cell };

export const AGGREGATES = ['sum', 'count', 'avg', 'min', 'max'] as const;
export type Aggregate = (typeof AGGREGATES)[number];

/** What numbers are, where their column does not say it. */
export const FORMATS = ['money', 'quantity', 'hours', 'percent', 'count'] as const;
export type Format = (typeof FORMATS)[number];

/** A number made of rows. */
export interface Measure {
  /** Left out where rows are counted, and only there. */
  column?: string;
  /** `sum` unless it says. */
  how?: Aggregate;
  title?: string;
  /** By its column unless it says. */
  format?: Format;
}

export interface Sort {
  column: string;
  descending?: boolean;
}

export type Delta = { since: 'opened' } | { column: string };
export type Sparkline = 'live' | { by: string };
export const BETTER = ['higher', 'lower', 'neither'] as const;
export type Better = (typeof BETTER)[number];
export type Target = { value: string } | { column: string };

export interface KpiShow {
  kind: 'kpi';
  value: Measure;
  currency?: string;
  delta?: Delta;
  sparkline?: Sparkline;
  /** `higher` unless it says. */
  better?: Better;
}

export interface LineShow {
  kind: 'line' | 'area';
  by: string;
  values: readonly Measure[];
  split?: string;
  currency?: string;
}

export interface BarShow {
  kind: 'bar' | 'stacked_bar';
  by: string;
  values: readonly Measure[];
  split?: string;
  currency?: string;
  sort?: Sort;
  limit?: number;
}

export interface PieShow {
  kind: 'pie';
  by: string;
  value: Measure;
  currency?: string;
  limit?: number;
}

export interface TableShow {
  kind: 'table';
  columns: readonly string[];
  /** What the numbers of a column are; by the column itself unless it says. */
  formats?: Readonly<Record<string, Format>>;
  sort?: Sort;
  limit?: number;
}

export interface FunnelShow {
  kind: 'funnel';
  by: string;
  value: Measure;
  currency?: string;
  /** The steps, from the top. */
  order: readonly string[];
}

export interface AgingShow {
  kind: 'aging';
  /** A column for each age, the youngest first. */
  buckets: readonly string[];
  currency?: string;
}

export interface CalendarShow {
  kind: 'calendar';
  day: string;
  value: Measure;
  currency?: string;
}

export interface GaugeShow {
  kind: 'gauge';
  value: Measure;
  target: Target;
  currency?: string;
}

export interface TextShow {
  kind: 'text';
  /** Plain; a blank line begins a paragraph. */
  text: string;
}

export type Show =
  | KpiShow | LineShow | BarShow | PieShow | TableShow | FunnelShow | AgingShow | CalendarShow
  | GaugeShow | TextShow;

export const KINDS = [
  'kpi', 'line', 'area', 'bar', 'stacked_bar', 'pie', 'table', 'funnel', 'aging', 'calendar', 'gauge',
  'text',
] as const satisfies readonly Show['kind'][];
export type Kind = (typeof KINDS)[number];

export const COMPARISONS = ['above', 'at_least', 'below', 'at_most'] as const;
export type Comparison = (typeof COMPARISONS)[number];
export const TONES = ['good', 'warning', 'critical'] as const;
export type Tone = (typeof TONES)[number];

/** A bound beyond which a number has a colour. */
export interface Threshold {
  /** The column of a table; all others have one number. */
  column?: string;
  is: Comparison;
  /** An exact number, such as `"-12.50"`. */
  value: string;
  tone: Tone;
}

/**
 * A document as the service gives it back: with what has a default, without lists that are empty. So
 * two that say the same are equal.
 */
export function normalised(document: DashboardDocument): DashboardDocument {
  return {
    schema: SCHEMA,
    ...(document.about === undefined ? {} : { about: document.about }),
    filters: document.filters ?? [],
    widgets: document.widgets.map(normalisedWidget),
  };
}

function normalisedWidget(widget: Widget): Widget {
  const { id, title, about, at, source, show, thresholds } = widget;
  return {
    id, title,
    ...(about === undefined ? {} : { about }),
    at: { x: at.x, y: at.y, w: at.w, h: at.h },
    ...(source === undefined ? {} : { source: normalisedSource(source) }),
    show: normalisedShow(show),
    ...(thresholds === undefined || thresholds.length === 0 ? {} : { thresholds }),
  };
}

function normalisedSource(source: Source): Source {
  if ('sql' in source) {
    const { sql, params = [] } = source;
    return params.length === 0 ? { sql } : { sql, params };
  }
  const { view, where = {} } = source;
  return Object.keys(where).length === 0 ? { view } : { view, where };
}

function normalisedShow(show: Show): Show {
  switch (show.kind) {
    case 'kpi': return { ...show, value: measured(show.value), better: show.better ?? 'higher' };
    case 'line': case 'area': return { ...show, values: show.values.map(measured) };
    case 'bar': case 'stacked_bar':
      return { ...show, values: show.values.map(measured), ...sorted(show.sort) };
    case 'table': return { ...withoutEmpty(show), ...sorted(show.sort) };
    case 'pie': return { ...show, value: measured(show.value) };
    case 'funnel': return { ...show, value: measured(show.value) };
    case 'calendar': return { ...show, value: measured(show.value) };
    case 'gauge': return { ...show, value: measured(show.value) };
    case 'aging': case 'text': return show;
  }
}

function withoutEmpty({ formats, ...show }: TableShow): TableShow {
  return formats === undefined || Object.keys(formats).length === 0 ? show : { ...show, formats };
}

const measured = (measure: Measure): Measure => ({ ...measure, how: measure.how ?? 'sum' });

const sorted = (sort: Sort | undefined): { sort?: Sort } =>
  sort === undefined ? {} : { sort: { column: sort.column, descending: sort.descending ?? false } };

/** The columns of its source that a widget names. */
export function columnsOf(widget: Widget): string[] {
  const { show } = widget;
  const named: (string | undefined)[] = [];
  const measured = (...measures: readonly Measure[]) => named.push(...measures.map(({ column }) => column));
  switch (show.kind) {
    case 'kpi':
      measured(show.value);
      named.push(show.currency, show.delta && 'column' in show.delta ? show.delta.column : undefined);
      named.push(typeof show.sparkline === 'object' ? show.sparkline.by : undefined);
      break;
    case 'line': case 'area':
      measured(...show.values);
      named.push(show.by, show.split, show.currency);
      break;
    case 'bar': case 'stacked_bar':
      measured(...show.values);
      named.push(show.by, show.split, show.currency, show.sort?.column);
      break;
    case 'pie': case 'funnel':
      measured(show.value);
      named.push(show.by, show.currency);
      break;
    case 'calendar':
      measured(show.value);
      named.push(show.day, show.currency);
      break;
    case 'gauge':
      measured(show.value);
      named.push('column' in show.target ? show.target.column : undefined, show.currency);
      break;
    case 'table':
      named.push(...show.columns, show.sort?.column, ...Object.keys(show.formats ?? {}));
      break;
    case 'aging':
      named.push(...show.buckets, show.currency);
      break;
    case 'text':
  }
  return [...new Set(named.filter((name) => name !== undefined))];
}

/** The rows of the grid that its widgets take. */
export function gridRows(widgets: readonly Widget[]): number {
  return Math.max(0, ...widgets.map(({ at }) => at.y + at.h));
}

/** The widgets in the order in which they are read: from the top, and from the left. */
export function inReadingOrder(widgets: readonly Widget[]): Widget[] {
  return [...widgets].sort((a, b) => a.at.y - b.at.y || a.at.x - b.at.x);
}
