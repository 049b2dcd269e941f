/** Changes of a dashboard that is edited. Nothing is changed in its place: what stays is shared. */
import {
  MOST_WIDGETS, SCHEMA, type DashboardDocument, type Filter, type Param, type Widget,
} from '../document';
import { risen, roomFor } from './layout';
import { words } from './words';

/** What is edited, and saved as it is. */
export interface Draft {
  readonly name: string;
  readonly document: DashboardDocument;
}

export const EMPTY: DashboardDocument = { schema: SCHEMA, filters: [], widgets: [] };

/** The same with another value of a member; without the member where there is none. */
export function put<T extends object, K extends keyof T>(whole: T, member: K, value: T[K] | undefined): T {
  const changed = { ...whole, [member]: value } as T;
  if (value === undefined) Reflect.deleteProperty(changed, member);
  return changed;
}

/** A list with another item in the place of one; without it where there is none. */
export function putAt<T>(list: readonly T[], place: number, item: T | undefined): T[] {
  return list.flatMap((known, i) => (i !== place ? [known] : item === undefined ? [] : [item]));
}

/** A list with an item one step further up (-1) or down (1). */
export function shifted<T>(list: readonly T[], place: number, by: -1 | 1): T[] {
  const next = [...list];
  const [item, other] = [list[place], list[place + by]];
  if (item === undefined || other === undefined) return next;
  [next[place], next[place + by]] = [other, item];
  return next;
}

export function withDocument(draft: Draft, document: DashboardDocument): Draft {
  return { ...draft, document };
}

export function withWidgets(document: DashboardDocument, widgets: readonly Widget[]): DashboardDocument {
  return { ...document, widgets };
}

/** With a widget in the place of the one of its id. */
export function withWidget(document: DashboardDocument, widget: Widget): DashboardDocument {
  return withWidgets(document, document.widgets.map((known) => (known.id === widget.id ? widget : known)));
}

export const isFull = (document: DashboardDocument): boolean => document.widgets.length >= MOST_WIDGETS;

/** With one more widget, where there is room for it. */
export function withNew(document: DashboardDocument, widget: Omit<Widget, 'at'>, size: { w: number; h: number }): DashboardDocument {
  const added: Widget = { ...widget, at: roomFor(document.widgets, size) };
  return withWidgets(document, [...document.widgets, added]);
}

/** With a second one of a widget, under an id of its own. */
export function withCopy(document: DashboardDocument, widget: Widget, id: string): DashboardDocument {
  return withNew(document, { ...widget, id, title: copied(widget.title) }, widget.at);
}

const encoder = new TextEncoder();

/** A name with the word for a copy, cut to what a title may have. */
export function copied(title: string): string {
  const copy = words.copyOf(title);
  return encoder.encode(copy).length <= 200 ? copy : title;
}

export function withoutWidget(document: DashboardDocument, id: string): DashboardDocument {
  return withWidgets(document, risen(document.widgets.filter((widget) => widget.id !== id)));
}

/** With other filters; parameters of those that are no more become nothing. */
export function withFilters(document: DashboardDocument, filters: readonly Filter[]): DashboardDocument {
  const ids = new Set(filters.map(({ id }) => id));
  const kept = (param: Param): Param => ('filter' in param && !ids.has(param.filter) ? { value: null } : param);
  const widgets = document.widgets.map((widget) => {
    const { source } = widget;
    if (!source || !('sql' in source) || !source.params?.some((param) => kept(param) !== param)) return widget;
    return { ...widget, source: { ...source, params: source.params.map(kept) } };
  });
  return { ...document, filters, widgets };
}

/** The widgets whose parameters ask for a filter. */
export function askingFor(document: DashboardDocument, filter: string): Widget[] {
  return document.widgets.filter(({ source }) =>
    source && 'sql' in source && source.params?.some((param) => 'filter' in param && param.filter === filter));
}

/** An id that nothing else has: a word, and a number where the word is taken. */
export function freeId(word: string, taken: Iterable<string>): string {
  const known = new Set(taken);
  const stem = word.toLowerCase().replaceAll(/[^a-z0-9_]+/g, '-').replaceAll(/^-+|-+$/g, '').slice(0, 40) || 'x';
  for (let n = 1; ; n += 1) {
    const id = n === 1 ? stem : `${stem}-${n}`;
    if (!known.has(id)) return id;
  }
}

/** A widget's id. Two who add one each at the same time do not give it the same. */
export function widgetId(document: DashboardDocument, kind: string, random: () => number = Math.random): string {
  const mark = Math.floor(random() * 36 ** 4).toString(36).padStart(4, '0');
  return freeId(`${kind.replaceAll('_', '-')}-${mark}`, document.widgets.map(({ id }) => id));
}
