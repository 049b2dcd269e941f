/** A query on its way from the editor to the form of a new report. */
import type { Question } from '../sql/notebook';

let waiting: Question | null = null;

export function leave(question: Question): void {
  waiting = question;
}

/** What was left, once. */
export function take(): Question | null {
  const taken = waiting;
  waiting = null;
  return taken;
}
