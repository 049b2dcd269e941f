/** What two people changed of the same dashboard, compared with what both began from. */
import { normalised, type DashboardDocument, type Filter, type Widget } from '../document';
import type { Draft } from './change';

export type Part = 'name' | 'about' | 'filters' | 'filter' | 'widget';
export type How = 'added' | 'removed' | 'changed' | 'moved';
export type Member = 'title' | 'about' | 'place' | 'source' | 'show' | 'thresholds';

export interface Change {
  of: Part;
  /** The id of the filter or the widget; empty for what there is once. */
  id: string;
  /** What it is called. */
  title: string;
  how: How;
  /** Of a widget that is another one: what of it. */
  members: readonly Member[];
  /** Whether the other side changed the same, and not to the same. */
  isShared: boolean;
}

/** Whether two values of JSON say the same; the order of members says nothing. */
export function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => same(item, b[i]));
  }
  const [ofA, ofB] = [membersOf(a), membersOf(b)];
  return ofA.length === ofB.length && ofA.every(([name, value]) => Object.hasOwn(b, name) && same(value, Reflect.get(b, name)));
}

const membersOf = (value: object): [string, unknown][] =>
  Object.entries(value).filter(([, member]) => member !== undefined);

/** Both sides' changes; those that stand against each other are marked in both. */
export function compared(base: Draft, mine: Draft, theirs: Draft): { mine: Change[]; theirs: Change[] } {
  const [own, other] = [changes(base, mine), changes(base, theirs)];
  const against = (change: Change, others: readonly Change[]): boolean =>
    others.some((one) => one.of === change.of && one.id === change.id) && !same(partOf(mine, change), partOf(theirs, change));
  return {
    mine: own.map((change) => ({ ...change, isShared: against(change, other) })),
    theirs: other.map((change) => ({ ...change, isShared: against(change, own) })),
  };
}

/** What is other than it was, in the order in which it stands there. */
export function changes(base: Draft, now: Draft): Change[] {
  const found: Change[] = [];
  const note = (of: Part, title: string, how: How = 'changed', id = '', members: readonly Member[] = []) =>
    found.push({ of, id, title, how, members, isShared: false });
  if (base.name.trim() !== now.name.trim()) note('name', now.name.trim());
  const [before, after] = [normalised(base.document), normalised(now.document)];
  if ((before.about ?? '') !== (after.about ?? '')) note('about', '');
  const order = (document: DashboardDocument, other: DashboardDocument) =>
    document.filters.map(({ id }) => id).filter((id) => other.filters.some((filter) => filter.id === id));
  if (!same(order(before, after), order(after, before))) note('filters', '');
  for (const { id, was, is } of pairs<Filter>(before.filters, after.filters)) {
    const how = was === undefined ? 'added' : is === undefined ? 'removed' : same(was, is) ? null : 'changed';
    if (how !== null) note('filter', (is ?? was)?.title ?? id, how, id);
  }
  for (const { id, was, is } of pairs<Widget>(before.widgets, after.widgets)) {
    const title = (is ?? was)?.title ?? id;
    if (was === undefined || is === undefined) {
      note('widget', title, was === undefined ? 'added' : 'removed', id);
      continue;
    }
    const members = differing(was, is);
    if (members.length > 0) note('widget', title, members.every((member) => member === 'place') ? 'moved' : 'changed', id, members);
  }
  return found;
}

function differing(was: Widget, is: Widget): Member[] {
  const parts: [Member, unknown, unknown][] = [
    ['title', was.title, is.title], ['about', was.about, is.about], ['place', was.at, is.at],
    ['source', was.source, is.source], ['show', was.show, is.show],
    ['thresholds', was.thresholds ?? [], is.thresholds ?? []],
  ];
  return parts.flatMap(([member, a, b]) => (same(a, b) ? [] : [member]));
}

/** What stands under the same id on both sides: first all that is there now, then what is no more. */
function pairs<T extends { id: string }>(before: readonly T[], after: readonly T[]): { id: string; was: T | undefined; is: T | undefined }[] {
  const was = new Map(before.map((item) => [item.id, item]));
  const is = new Map(after.map((item) => [item.id, item]));
  return [...new Set([...is.keys(), ...was.keys()])].map((id) => ({ id, was: was.get(id), is: is.get(id) }));
}

/** What a change is about, as it is on one side. */
function partOf(draft: Draft, { of, id }: Change): unknown {
  const document = normalised(draft.document);
  switch (of) {
    case 'name': return draft.name.trim();
    case 'about': return document.about;
    case 'filters': return document.filters.map((filter) => filter.id);
    case 'filter': return document.filters.find((filter) => filter.id === id);
    case 'widget': return document.widgets.find((widget) => widget.id === id);
  }
}
