/** The kinds of widgets: what a new one shows, and what stays when one becomes of another kind. */
import type { Column } from '../../lib/protocol';
import { isNumber } from '../../sql/cells';
import type { Format, Kind, Measure, Show, Sort, Source, TableShow, Threshold, Widget } from '../document';
import { put } from './change';

/** How large a new one is, in cells. */
export const SIZES: Record<Kind, { w: number; h: number }> = {
  kpi: { w: 3, h: 3 }, line: { w: 6, h: 5 }, area: { w: 6, h: 5 }, bar: { w: 6, h: 5 },
  stacked_bar: { w: 6, h: 5 }, pie: { w: 4, h: 5 }, table: { w: 6, h: 6 }, funnel: { w: 4, h: 5 },
  aging: { w: 6, h: 4 }, calendar: { w: 12, h: 4 }, gauge: { w: 3, h: 4 }, text: { w: 6, h: 2 },
};

/** What a way of showing has in common with the others. */
interface Parts {
  by?: string;
  values: readonly Measure[];
  columns: readonly string[];
  formats?: Readonly<Record<string, Format>>;
  split?: string;
  currency?: string;
  sort?: Sort;
  limit?: number;
  order?: readonly string[];
  text?: string;
}

export const isTime = ({ type }: Column): boolean => type === 'date' || type === 'timestamp';

/** The columns that numbers are made of. */
export const figuresOf = (columns: readonly Column[]): Column[] => columns.filter(({ type }) => isNumber(type));

/** The column that names the currency of amounts. */
const isCurrency = ({ name }: Column): boolean => name === 'currency' || name.endsWith('_currency');

/** Columns of ages, as the built-in views name them: what is not due, and by days past it. */
const AGE = /^(current|d\d.*)$/;

/**
 * A way of showing these columns; what `from` says of them stays. Of other rows than before
 * (`isOther`) the currency is found anew, so that amounts of several are not added by oversight.
 */
export function showOf(kind: Kind, columns: readonly Column[], from?: Show, isOther = false): Show {
  const parts = partsOf(from, columns, isOther);
  const numbers = figuresOf(columns);
  const first = numbers[0]?.name;
  const measure: Measure = parts.values[0]
    ?? (first === undefined && columns.length > 0 ? { how: 'count' } : { column: first ?? '' });
  const values = parts.values.length > 0 ? parts.values : [measure];
  const group = columns.find((column) => !isNumber(column.type) && !isTime(column) && !isCurrency(column))
    ?? columns.find((column) => !isNumber(column.type));
  const time = columns.find(isTime);
  const by = parts.by ?? group?.name ?? '';
  const along = parts.by ?? time?.name ?? group?.name ?? '';
  const money: { currency?: string } = parts.currency === undefined ? {} : { currency: parts.currency };
  const split: { split?: string } = parts.split === undefined || values.length > 1 ? {} : { split: parts.split };
  const sort: { sort?: Sort } = parts.sort === undefined ? {} : { sort: parts.sort };
  const limit: { limit?: number } = parts.limit === undefined ? {} : { limit: parts.limit };
  switch (kind) {
    case 'kpi': return { kind, value: measure, ...money };
    case 'line': case 'area': return { kind, by: along, values, ...split, ...money };
    case 'bar': return { kind, by, values, ...split, ...money, ...sort, ...limit };
    case 'stacked_bar': {
      const others = columns.filter((column) => column.name !== by && !isNumber(column.type) && !isTime(column) && !isCurrency(column));
      const parted: { split?: string } = values.length > 1 || parts.split !== undefined || !others[0] ? split : { split: others[0].name };
      return { kind, by, values, ...parted, ...money, ...sort, ...limit };
    }
    case 'pie': return { kind, by, value: measure, ...money, ...limit };
    case 'table': {
      const named = parts.columns.length > 0 ? parts.columns : columns.slice(0, 8).map(({ name }) => name);
      return withFormats({ kind, columns: named, ...sort, ...limit }, parts.formats ?? {});
    }
    case 'funnel': return { kind, by, value: measure, ...money, order: parts.order ?? [] };
    case 'aging': {
      const ages = numbers.filter(({ name }) => AGE.test(name)).map(({ name }) => name);
      return { kind, buckets: from?.kind === 'aging' && parts.columns.length > 1 ? parts.columns : ages.slice(0, 20), ...money };
    }
    case 'calendar': return { kind, day: (from?.kind === 'calendar' ? parts.by : undefined) ?? time?.name ?? '', value: measure, ...money };
    case 'gauge': return { kind, value: measure, target: from?.kind === 'gauge' && isThere(from.target, columns) ? from.target : { value: '100' }, ...money };
    case 'text': return { kind, text: parts.text ?? '' };
  }
}

/** A table with what the numbers of its columns are, of those alone that it has; and none where none is said. */
export function withFormats(show: TableShow, formats: Readonly<Record<string, Format | undefined>>): TableShow {
  const said = Object.entries(formats).filter((entry): entry is [string, Format] => entry[1] !== undefined && show.columns.includes(entry[0]));
  return put(show, 'formats', said.length === 0 ? undefined : Object.fromEntries(said));
}

function isThere(target: { value: string } | { column: string }, columns: readonly Column[]): boolean {
  return 'value' in target || columns.some(({ name }) => name === target.column);
}

/** What can be kept of a way of showing: all that names columns which are there. */
function partsOf(show: Show | undefined, columns: readonly Column[], isOther: boolean): Parts {
  const currency = columns.find(isCurrency)?.name;
  const parts: Parts = { values: [], columns: [], ...(currency === undefined ? {} : { currency }) };
  if (show === undefined) return parts;
  const names = new Set(columns.map(({ name }) => name));
  const has = (name: string | undefined): name is string => name !== undefined && names.has(name);
  const isMade = (measure: Measure) => measure.how === 'count' || has(measure.column);
  if (show.kind === 'text') return { ...parts, text: show.text };
  if (show.kind !== 'table') {
    if (!isOther) delete parts.currency;
    if (has(show.currency)) parts.currency = show.currency;
  }
  if ('value' in show && isMade(show.value)) parts.values = [show.value];
  if ('values' in show) parts.values = show.values.filter(isMade);
  const by = show.kind === 'calendar' ? show.day : 'by' in show ? show.by : undefined;
  if (has(by)) parts.by = by;
  if ('split' in show && has(show.split)) parts.split = show.split;
  if ('sort' in show && show.sort && has(show.sort.column)) parts.sort = show.sort;
  if ('limit' in show && show.limit !== undefined) parts.limit = show.limit;
  if (show.kind === 'table') parts.columns = show.columns.filter(has);
  if (show.kind === 'table' && show.formats) parts.formats = show.formats;
  if (show.kind === 'aging') parts.columns = show.buckets.filter(has);
  if (show.kind === 'funnel') parts.order = show.order;
  return parts;
}

/** A widget that shows its rows in another way; `source` is for one that had none. */
export function withKind(widget: Widget, kind: Kind, columns: readonly Column[], source: Source): Widget {
  if (widget.show.kind === kind) return widget;
  const show = showOf(kind, columns, widget.show);
  if (kind === 'text') return put(put({ ...widget, show }, 'source', undefined), 'thresholds', undefined);
  const thresholds = widget.thresholds?.map((threshold) => fitted(threshold, show, columns));
  return put({ ...widget, source: widget.source ?? source, show }, 'thresholds', thresholds);
}

/** A widget over the rows of another source, with those of its columns that are there too. */
export function withSource(widget: Widget, source: Source, columns: readonly Column[]): Widget {
  const show = showOf(widget.show.kind, columns, widget.show, true);
  const extra = show.kind === 'kpi' && widget.show.kind === 'kpi' ? kept(widget.show, columns) : {};
  const thresholds = widget.thresholds?.map((threshold) => fitted(threshold, show, columns));
  return put({ ...widget, source, show: { ...show, ...extra } as Show }, 'thresholds', thresholds);
}

/** What a number is compared with, and its line, where their columns are there. */
function kept(show: Extract<Show, { kind: 'kpi' }>, columns: readonly Column[]): Partial<Extract<Show, { kind: 'kpi' }>> {
  const has = (name: string) => columns.some((column) => column.name === name);
  const { delta, sparkline, better } = show;
  return {
    ...(delta !== undefined && ('since' in delta || has(delta.column)) ? { delta } : {}),
    ...(sparkline !== undefined && (sparkline === 'live' || has(sparkline.by)) ? { sparkline } : {}),
    ...(better === undefined ? {} : { better }),
  };
}

/** A bound of a table names a column, and no other does. */
function fitted(threshold: Threshold, show: Show, columns: readonly Column[]): Threshold {
  if (show.kind !== 'table') return put(threshold, 'column', undefined);
  if (threshold.column !== undefined && show.columns.includes(threshold.column)) return threshold;
  const figure = figuresOf(columns).find(({ name }) => show.columns.includes(name))?.name ?? show.columns[0];
  return put(threshold, 'column', figure);
}
