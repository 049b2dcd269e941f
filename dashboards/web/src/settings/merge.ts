/**
 * A newer version of the firm's template beside what the firm has made of the older one: what each part
 * can become, and what the service is told of it.
 */

/** Whose version stands: that of the template, or the firm's. */
export type Side = 'theirs' | 'ours';

export type Kind = 'module' | 'dashboard' | 'report' | 'alert_rule' | 'event';

export type State =
  | 'unchanged' | 'changed-by-tenant' | 'changed-by-template' | 'changed-by-both'
  | 'new' | 'removed-by-template' | 'deleted-by-tenant';

/** A module, a dashboard, a report, a rule of alerts, or a fact that is not there yet. */
export interface Part {
  /** By which all of it is settled, `/dashboards/stock`. */
  path: string;
  kind: Kind;
  id: string;
  title: string;
  state: State;
  /** How many conflicts are about it. */
  conflicts: number;
}

/** What both changed, and not to the same. A side that is not there has nothing there. */
export interface Conflict {
  path: string;
  /** The value itself, or the order of a list's items, whose ids the sides are then. */
  about: 'value' | 'order';
  base?: unknown;
  theirs?: unknown;
  ours?: unknown;
}

/** The template that a firm was given, or that of its line of business where it was given none. */
export interface Given {
  vertical: string;
  title: string;
  /** Null for a firm that was given none. */
  version: number | null;
  newest: number;
  is_newer: boolean;
  given_at: string | null;
  parts: readonly Part[];
  conflicts: readonly Conflict[];
}

/** Path of a part or of a conflict → whose version stands. */
export type Settlement = Readonly<Record<string, Side>>;

/** What becomes of a part by itself, and what it can be settled for as a whole. */
export type Outcome =
  | 'kept' | 'updated' | 'merged' | 'added' | 'left-out' | 'deleted' | 'brought-back' | 'replaced';

/** `null`: as the merge has it. */
export type Whole = Side | null;

const BY_ITSELF: Record<State, Outcome> = {
  unchanged: 'kept', 'changed-by-tenant': 'kept', 'changed-by-template': 'updated', 'changed-by-both': 'merged',
  new: 'added', 'removed-by-template': 'kept', 'deleted-by-tenant': 'kept',
};

const BY_THE_TEMPLATE: Record<State, Outcome> = {
  unchanged: 'kept', 'changed-by-tenant': 'replaced', 'changed-by-template': 'updated', 'changed-by-both': 'replaced',
  new: 'added', 'removed-by-template': 'deleted', 'deleted-by-tenant': 'brought-back',
};

/** What becomes of a part that is settled so. */
export function outcomeOf(state: State, whole: Whole): Outcome {
  if (whole === null) return BY_ITSELF[state];
  if (whole === 'theirs') return BY_THE_TEMPLATE[state];
  return state === 'new' ? 'left-out' : 'kept';
}

/** What a part can be settled for: each way that leads elsewhere than those before it. */
export function waysOf(state: State): readonly Whole[] {
  const ways: Whole[] = [];
  for (const way of [null, 'theirs', 'ours'] as const) {
    if (!ways.some((known) => outcomeOf(state, known) === outcomeOf(state, way))) ways.push(way);
  }
  return ways;
}

/** The groups in which parts are shown: those first of which somebody may want to decide. */
export const GROUPS = [
  'changed-by-both', 'new', 'changed-by-template', 'removed-by-template', 'deleted-by-tenant',
  'changed-by-tenant', 'unchanged',
] as const satisfies readonly State[];

export function partsOf(given: Given, state: State): readonly Part[] {
  return given.parts.filter((part) => part.state === state);
}

export function conflictsOf(given: Given, part: Part): readonly Conflict[] {
  return given.conflicts.filter(({ path }) => path === part.path || path.startsWith(`${part.path}/`));
}

/** Whether all of the part that a conflict is about is settled, which leaves nothing of it to be settled. */
function isCovered(given: Given, chosen: Settlement, conflict: Conflict): boolean {
  return given.parts.some(({ path }) => path in chosen && conflict.path.startsWith(`${path}/`));
}

/** The conflicts for which nothing is chosen, neither for themselves nor for all of their part. */
export function openConflicts(given: Given, chosen: Settlement): readonly Conflict[] {
  return given.conflicts.filter((conflict) => !(conflict.path in chosen) && !isCovered(given, chosen, conflict));
}

/** What the service is told: of what was chosen, what there is to be settled. */
export function settlement(given: Given, chosen: Settlement): Settlement {
  const asked = given.conflicts.filter((conflict) => !isCovered(given, chosen, conflict));
  const told: Record<string, Side> = {};
  for (const { path } of [...given.parts, ...asked]) {
    const side = chosen[path];
    if (side !== undefined) told[path] = side;
  }
  return told;
}

/** What was done to each part, as it was settled; those that stay as they were by themselves are left out. */
export function doneTo(given: Given, told: Settlement): readonly { part: Part; outcome: Outcome }[] {
  return given.parts
    .map((part) => ({ part, outcome: outcomeOf(part.state, told[part.path] ?? null) }))
    .filter(({ part, outcome }) => outcome !== 'kept' || told[part.path] !== undefined);
}

/** The names in a path, without those of its part and of what every dashboard has. */
export function namesWithin(part: Part, path: string): readonly string[] {
  const names = path.slice(part.path.length).split('/').slice(1);
  const read = names.map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
  return read[0] === 'document' || read[0] === 'definition' ? read.slice(1) : read;
}

/** A side of a conflict as it is read; null where nothing is there. */
export function sideText(conflict: Conflict, side: 'base' | Side): string | null {
  const value = conflict[side];
  if (value === undefined) return null;
  if (typeof value === 'string') return value;
  if (conflict.about === 'order' && Array.isArray(value)) {
    return value.map((id, place) => `${place + 1}. ${String(id)}`).join('\n');
  }
  return JSON.stringify(value, null, 2);
}
