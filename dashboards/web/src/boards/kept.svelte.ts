/** A dashboard as it is kept by the service, and what became of it since. */
import type { Problem } from '../lib/protocol';
import { attempt } from '../reports/loaded.svelte';
import { readDashboard, readDashboardBeyond, type Dashboard } from './api';

/** How often is asked whether it was changed. */
const AGAIN_MS = 60_000;

export class Kept {
  dashboard = $state.raw<Dashboard | null>(null);
  problem = $state.raw<Problem | null>(null);
  /** Whether it was changed while it was looked at. */
  isChanged = $state(false);
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(private readonly token: string, private readonly id: string) {
    void this.load();
    this.#timer = setInterval(() => {
      if (document.visibilityState === 'visible') void this.#look();
    }, AGAIN_MS);
  }

  async load(): Promise<void> {
    const result = await attempt(() => readDashboard(this.token, this.id));
    if (result === null) return;
    if ('value' in result) [this.dashboard, this.problem] = [result.value, null];
    else this.problem = result.problem;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const known = this.dashboard;
    if (known === null) return this.load();
    const result = await attempt(() => readDashboardBeyond(this.token, this.id, known.version));
    // What cannot be asked now is asked again; what is shown is live whatever becomes of its document.
    if (result === null || !('value' in result)) {
      if (result !== null && result.problem.status === 404) this.problem = result.problem;
      return;
    }
    if (result.value === null || this.dashboard !== known) return;
    [this.dashboard, this.isChanged] = [result.value, true];
  }
}
