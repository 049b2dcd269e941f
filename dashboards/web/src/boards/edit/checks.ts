/**
 * What is wrong with a dashboard, at the field of the form that it is about: as the service says it of
 * what was sent, and what is still to be chosen before it can be sent at all.
 */
import type { Problem } from '../../lib/protocol';
import type { Measure, Show, Widget } from '../document';
import type { Draft } from './change';
import { words } from './words';

export type Owner = { of: 'board' } | { of: 'filter' | 'widget'; id: string };

export interface Mistake {
  owner: Owner;
  /** The field at which it is said, such as `show.values[1]`; empty where no field is about it. */
  field: string;
  /** What would be right, as a sentence. */
  message: string;
}

/** What the service refused, as a place on what was sent to it; null where it names no place. */
export function refusalOf(problem: Problem, sent: Draft): Mistake | null {
  const { field } = problem;
  if (field === undefined) return null;
  const message = sentence(problem, field);
  const [, list, index, rest = ''] = /^document\.(widgets|filters)\[(\d+)\](?:\.(.+))?$/.exec(field) ?? [];
  if (list === 'widgets') {
    const id = sent.document.widgets[Number(index)]?.id;
    if (id !== undefined) return { owner: { of: 'widget', id }, field: widgetField(rest), message };
  }
  if (list === 'filters') {
    const id = sent.document.filters[Number(index)]?.id;
    if (id !== undefined) return { owner: { of: 'filter', id }, field: /^\w+/.exec(rest)?.[0] ?? '', message };
  }
  const own = field === 'name' ? 'name' : field === 'document.about' ? 'about' : '';
  return { owner: { of: 'board' }, field: own, message };
}

/** What the service says, without the place in front of it. */
function sentence(problem: Problem, field: string): string {
  const detail = problem.detail ?? problem.title ?? '';
  const places = [field, field.replace(/^document\./, '')];
  const place = places.find((one) => detail.startsWith(`${one}: `));
  return place === undefined ? detail : detail.slice(place.length + 2);
}

const FIELDS = [
  /^(title|about)$/,
  /^source\.(params\[\d+\]|where\.[^[]+|\w+)/,
  /^show\.(values\[\d+\]|\w+)/,
  /^thresholds(\[\d+\])?/,
  /^(source|show)$/,
];

/** The field of the form that is about a place within a widget. */
export function widgetField(place: string): string {
  for (const field of FIELDS) {
    const found = field.exec(place);
    if (found) return found[0];
  }
  return '';
}

/** What is said at a field; null where nothing is. */
export function wrongAt(mistakes: readonly Mistake[], owner: Owner, field: string): string | null {
  return mistakes.find((mistake) => mistake.field === field && isOf(mistake, owner))?.message ?? null;
}

export function isOf({ owner }: Mistake, other: Owner): boolean {
  return owner.of === other.of && ('id' in owner ? owner.id : '') === ('id' in other ? other.id : '');
}

/** Whether what was refused still stands there as it was sent. */
export function isStanding({ owner }: Mistake, sent: Draft, now: Draft): boolean {
  switch (owner.of) {
    case 'board': return sent.name === now.name && sent.document === now.document;
    case 'filter': return find(sent.document.filters, owner.id) === find(now.document.filters, owner.id);
    case 'widget': return find(sent.document.widgets, owner.id) === find(now.document.widgets, owner.id);
  }
}

const find = <T extends { id: string }>(list: readonly T[], id: string): T | undefined =>
  list.find((item) => item.id === id);

/** What is left open: choices that nobody has made, numbers that are none. All else the service checks. */
export function openIn({ name, document }: Draft): Mistake[] {
  const found: Mistake[] = [];
  if (name.trim() === '') found.push({ owner: { of: 'board' }, field: 'name', message: words.open.name });
  for (const { id, title } of document.filters) {
    if (title.trim() === '') found.push({ owner: { of: 'filter', id }, field: 'title', message: words.open.title });
  }
  for (const widget of document.widgets) found.push(...openInWidget(widget));
  return found;
}

export function openInWidget(widget: Widget): Mistake[] {
  const found: Mistake[] = [];
  const note = (field: string, message: string) => found.push({ owner: { of: 'widget', id: widget.id }, field, message });
  if (widget.title.trim() === '') note('title', words.open.title);
  if (widget.source && 'view' in widget.source) {
    if (widget.source.view === '') note('source.view', words.open.view);
  } else if (widget.source && widget.source.sql.trim() === '') note('source.sql', words.open.sql);
  noteShow(widget.show, note);
  for (const [i, { value, column }] of (widget.thresholds ?? []).entries()) {
    if (!isDecimal(value)) note(`thresholds[${i}]`, words.open.number);
    else if (widget.show.kind === 'table' && !column) note(`thresholds[${i}]`, words.open.column);
  }
  return found;
}

function noteShow(show: Show, note: (field: string, message: string) => void): void {
  const isOpen = ({ column, how }: Measure) => how !== 'count' && !column;
  if ('by' in show && show.by === '') note('show.by', words.open.column);
  if ('value' in show && isOpen(show.value)) note('show.value', words.open.column);
  if ('values' in show) {
    if (show.values.length === 0) note('show.values', words.open.measures);
    for (const [i, measure] of show.values.entries()) if (isOpen(measure)) note(`show.values[${i}]`, words.open.column);
  }
  switch (show.kind) {
    case 'stacked_bar':
      if (show.split === undefined && show.values.length === 1) note('show.split', words.open.stack);
      break;
    case 'table':
      if (show.columns.length === 0) note('show.columns', words.open.columns);
      break;
    case 'aging':
      if (show.buckets.length < 2) note('show.buckets', words.open.buckets);
      break;
    case 'funnel':
      if (show.order.length < 2) note('show.order', words.open.order);
      break;
    case 'calendar':
      if (show.day === '') note('show.day', words.open.column);
      break;
    case 'gauge':
      if ('value' in show.target ? !isDecimal(show.target.value) : show.target.column === '') note('show.target', words.open.target);
      break;
    case 'text':
      if (show.text.trim() === '') note('show.text', words.open.text);
      break;
    default:
  }
}

/** An exact number, as the service takes it. */
export function isDecimal(text: string): boolean {
  return /^-?\d{1,34}(\.\d{1,4})?$/.test(text);
}
