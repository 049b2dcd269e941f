/**
 * What was done, so that it can be undone and done again. What is kept are whole states; they share
 * what is the same in them.
 */

/** The most steps back. */
export const MOST_STEPS = 200;

export interface History<T> {
  readonly past: readonly T[];
  readonly present: T;
  readonly future: readonly T[];
  /** What the last step was about: another step about the same, as the next letter of a title, joins it. */
  readonly about: string | null;
}

export function begun<T>(present: T): History<T> {
  return { past: [], present, future: [], about: null };
}

/** With a next state. What could have been done again cannot be after it. */
export function done<T>(history: History<T>, next: T, about: string | null = null): History<T> {
  if (Object.is(next, history.present)) return history;
  if (about !== null && about === history.about) return { ...history, present: next, future: [] };
  return { past: [...history.past, history.present].slice(-MOST_STEPS), present: next, future: [], about };
}

/** The next step is one of its own, whatever it is about. */
export function rested<T>(history: History<T>): History<T> {
  return history.about === null ? history : { ...history, about: null };
}

export function undone<T>(history: History<T>): History<T> {
  const before = history.past.at(-1);
  if (before === undefined) return history;
  const future = [history.present, ...history.future];
  return { past: history.past.slice(0, -1), present: before, future, about: null };
}

export function redone<T>(history: History<T>): History<T> {
  const [next, ...future] = history.future;
  if (next === undefined) return history;
  return { past: [...history.past, history.present], present: next, future, about: null };
}
