/** Something read from the service once, and again when asked: it loads, is there, or failed. */
import { problemOf } from '../lib/download.svelte';
import { Refused } from '../lib/live';
import type { Problem } from '../lib/protocol';
import { session } from '../lib/session.svelte';
import { texts } from '../lib/texts';

/** A token that does not hold any more leads to the sign-in. */
export function refused(error: Refused): void {
  session.signOut(texts.signIn[error.refusal]);
}

/** What a call gives, or why it gives nothing. Throws what is a fault of the page. */
export async function attempt<T>(work: () => Promise<T>): Promise<{ value: T } | { problem: Problem } | null> {
  try {
    return { value: await work() };
  } catch (error) {
    if (!(error instanceof Refused)) return { problem: problemOf(error) };
    refused(error);
    return null;
  }
}

export class Loaded<T> {
  value = $state.raw<T | null>(null);
  problem = $state.raw<Problem | null>(null);

  constructor(private readonly read: () => Promise<T>) {
    void this.load();
  }

  async load(): Promise<void> {
    const result = await attempt(this.read);
    if (result === null) return;
    if ('value' in result) [this.value, this.problem] = [result.value, null];
    else this.problem = result.problem;
  }
}
