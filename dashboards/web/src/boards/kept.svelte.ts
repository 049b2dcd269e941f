/** A dashboard as it is kept by the service, and what became of it since. */
import type { Problem } from '../lib/protocol';
import { attempt } from '../reports/loaded.svelte';
import { readDashboard, readDashboardBeyond, type Dashboard } from './api';

/** How often is asked whether it was changed. */
const AGAIN_MS = 60_000;
/** For how long a change is news. */
const NEWS_MS = 60_000;

export class Kept {
  dashboard = $state.raw<Dashboard | null>(null);
  problem = $state.raw<Problem | null>(null);
  /** Whether it was changed just now, while it was looked at. */
  isChanged = $state(false);
  readonly #timer: ReturnType<typeof setInterval>;
  #news: ReturnType<typeof setTimeout> | undefined;

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
    clearTimeout(this.#news);
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
    if (this.dashboard !== known) return;
    // It is there, whatever was said of it before.
    this.problem = null;
    if (result.value === null) return;
    [this.dashboard, this.isChanged] = [result.value, true];
    clearTimeout(this.#news);
    this.#news = setTimeout(() => (this.isChanged = false), NEWS_MS);
  }
}
