/** Problems of subscriptions that pass by themselves, so that they are asked for again. */
import type { Problem } from './protocol';

/** By the name of the problem: how many times the usual pause is left between two attempts. */
const PATIENCE: Readonly<Record<string, number>> = {
  'view-filling': 1, 'no-room': 1, 'too-many-subscriptions': 1, 'too-many-sql-subscriptions': 1, 'too-many-queries': 1,
  // Somebody has to switch it on, here or elsewhere.
  'module-off': 2,
  // Each attempt is as much work as the one that went beyond.
  'limit-exceeded': 10,
};

/** How patiently it is asked again; null for what stays until somebody mends it. */
export function patienceWith(problem: Problem): number | null {
  const kind = problem.type?.split(':').at(-1) ?? '';
  return Object.hasOwn(PATIENCE, kind) ? PATIENCE[kind] ?? null : null;
}
