/** One download at a time: how far it is, and why it failed. */
import { CallFailed } from './api';
import { readFile, saveFile } from './file';
import { Refused } from './live';
import type { Problem } from './protocol';
import { texts } from './texts';

export class Download {
  /** What is being fetched; null while nothing is. */
  name = $state<string | null>(null);
  bytes = $state(0);
  problem = $state.raw<Problem | null>(null);
  #abort = new AbortController();

  constructor(private readonly token: string, private readonly onrefused: (error: Refused) => void) {}

  async start(name: string, path: string, init: RequestInit = {}): Promise<void> {
    if (this.name !== null) return;
    [this.name, this.bytes, this.problem] = [name, 0, null];
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    try {
      const file = await readFile(this.token, path, { ...init, signal }, (bytes) => (this.bytes = bytes));
      saveFile(file, name);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused) this.onrefused(error);
      else this.problem = problemOf(error);
    } finally {
      if (this.#abort.signal === signal) this.name = null;
    }
  }

  cancel(): void {
    this.#abort.abort();
    this.name = null;
  }
}

/** What went wrong with a call, as a problem that can be shown. Throws what is a fault of the page. */
export function problemOf(error: unknown): Problem {
  if (error instanceof CallFailed) return error.problem;
  if (error instanceof DOMException && error.name === 'TimeoutError') return texts.unanswered.late;
  // What `fetch` throws where the connection could not be made, or broke off.
  if (error instanceof TypeError || error instanceof DOMException) return texts.unanswered.broken;
  throw error;
}
