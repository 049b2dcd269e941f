/**
 * Where widgets come to lie when one of them is put, moved, made larger or taken away.
 *
 * Widgets rise: each lies as high as those above it in its columns let it. So nothing overlaps, there
 * are no gaps that nobody meant, and the same steps always lead to the same places. What has no place
 * on the grid cannot be asked for: a wish is brought within its bounds first.
 */
import { COLUMNS, MOST_ROWS, type Place } from '../document';

/** What lies on the grid. */
export interface Lying {
  readonly id: string;
  readonly at: Place;
}

export interface Size {
  w: number;
  h: number;
}

export function overlap(a: Place, b: Place): boolean {
  return sharesColumns(a, b) && a.y < b.y + b.h && b.y < a.y + a.h;
}

const sharesColumns = (a: Place, b: Place): boolean => a.x < b.x + b.w && b.x < a.x + a.w;

/** The row beneath all of them. */
export const beneath = (widgets: readonly Lying[]): number =>
  Math.max(0, ...widgets.map(({ at }) => at.y + at.h));

const within = (value: number, least: number, most: number): number =>
  Math.min(Math.max(Math.trunc(value), least), most);

/** The same widgets, each as high as it can be. */
export function risen<T extends Lying>(widgets: readonly T[]): T[] {
  return ranked(widgets, ({ at }) => middle(at));
}

/** With one of them at another place; those that are in its way move down. */
export function moved<T extends Lying>(widgets: readonly T[], id: string, to: { x: number; y: number }): T[] {
  const from = widgets.find((widget) => widget.id === id)?.at;
  if (!from) return [...widgets];
  const at = { ...from, x: within(to.x, 0, COLUMNS - from.w), y: Math.max(0, Math.trunc(to.y)) };
  // On its way down it passes what its lower edge has passed half of; on its way up or aside, what its
  // upper edge has.
  const passes = at.y > from.y ? at.y + at.h : at.y;
  return ranked(withPlace(widgets, id, at), (widget) => (widget.id === id ? passes : middle(widget.at)), id);
}

/** With one of them in another size, its upper left corner where it was. */
export function resized<T extends Lying>(widgets: readonly T[], id: string, to: Size): T[] {
  const from = widgets.find((widget) => widget.id === id)?.at;
  if (!from) return [...widgets];
  const at = { ...from, w: within(to.w, 1, COLUMNS - from.x), h: within(to.h, 1, MOST_ROWS) };
  return ranked(withPlace(widgets, id, at), (widget) => (widget.id === id ? at.y : middle(widget.at)), id);
}

/** One step aside, up or down: the nearest place that is another one; null where there is none. */
export function stepped<T extends Lying>(widgets: readonly T[], id: string, dx: number, dy: number): T[] | null {
  const from = widgets.find((widget) => widget.id === id)?.at;
  if (!from) return null;
  const most = dx !== 0 ? 1 : dy < 0 ? from.y : beneath(widgets) - from.y;
  for (let step = 1; step <= most; step += 1) {
    const next = moved(widgets, id, { x: from.x + dx * step, y: from.y + dy * step });
    const at = next.find((widget) => widget.id === id)?.at;
    // What is moved down rises again until it has passed what is beneath it.
    if (at && (dx !== 0 ? at.x !== from.x : (at.y - from.y) * dy > 0)) return next;
  }
  return null;
}

/** One step wider or narrower, taller or lower; null where the grid or the widget ends. */
export function grown<T extends Lying>(widgets: readonly T[], id: string, dw: number, dh: number): T[] | null {
  const from = widgets.find((widget) => widget.id === id)?.at;
  if (!from) return null;
  const next = resized(widgets, id, { w: from.w + dw, h: from.h + dh });
  const at = next.find((widget) => widget.id === id)?.at;
  return at && (at.w !== from.w || at.h !== from.h) ? next : null;
}

/** The first place of a size, from the top and from the left, in which nothing lies. */
export function roomFor(widgets: readonly Lying[], size: Size): Place {
  const w = within(size.w, 1, COLUMNS);
  const h = within(size.h, 1, MOST_ROWS);
  // The highest of them is at the top, or right beneath a widget.
  const rows = [...new Set([0, ...widgets.map(({ at }) => at.y + at.h)])].sort((a, b) => a - b);
  for (const y of rows) {
    for (let x = 0; x + w <= COLUMNS; x += 1) {
      const place = { x, y, w, h };
      if (!widgets.some(({ at }) => overlap(at, place))) return place;
    }
  }
  return { x: 0, y: beneath(widgets), w, h };
}

const middle = (at: Place): number => at.y + at.h / 2;

function withPlace<T extends Lying>(widgets: readonly T[], id: string, at: Place): T[] {
  return widgets.map((widget) => (widget.id === id ? { ...widget, at } : widget));
}

/**
 * Lets the widgets rise in the order of their ranks; of equal ones `first` is before the others. Those
 * that stay where they are stay the same objects, and all of them keep their order in the list.
 */
function ranked<T extends Lying>(widgets: readonly T[], rank: (widget: T) => number, first?: string): T[] {
  const order = widgets.map((widget, index) => ({ widget, index, rank: rank(widget) }));
  order.sort((a, b) =>
    a.rank - b.rank
    || Number(b.widget.id === first) - Number(a.widget.id === first)
    || a.widget.at.x - b.widget.at.x || a.index - b.index);
  const placed: Place[] = [];
  const result = [...widgets];
  for (const { widget, index } of order) {
    const above = placed.filter((other) => sharesColumns(other, widget.at));
    const y = Math.max(0, ...above.map((other) => other.y + other.h));
    if (y !== widget.at.y) result[index] = { ...widget, at: { ...widget.at, y } };
    placed.push({ ...widget.at, y });
  }
  return result;
}
