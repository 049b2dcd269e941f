/** The open alerts of the one who is signed in, read anew whenever there may be something new. */
import { problemOf } from '../lib/download.svelte';
import { Refused, type Refusal } from '../lib/live';
import type { Problem } from '../lib/protocol';
import { acknowledge, readAlerts, snooze, type Alert } from './api';

export class Alerts {
  /** The newest first; null while they have not been read. */
  list = $state.raw<readonly Alert[] | null>(null);
  /** How many are open in all, which may be more than are listed. */
  open = $state(0);
  problem = $state.raw<Problem | null>(null);
  /** One that fired while the page was open, and that nobody has looked at. */
  fresh = $state.raw<Alert | null>(null);
  /** Whether the list is on the screen. */
  shown = $state(false);
  #reading = false;
  #again = false;

  constructor(private readonly token: string, private readonly onrefused: (why: Refusal) => void) {}

  /** Those that somebody is to hear of now. */
  loud(now: number): readonly Alert[] {
    return (this.list ?? []).filter((alert) => !isSnoozed(alert, now));
  }

  /** Reads them, one reading at a time; what changes meanwhile is read after. */
  async read(): Promise<void> {
    this.#again = true;
    if (this.#reading) return;
    this.#reading = true;
    try {
      while (this.#again) {
        this.#again = false;
        await this.#attempt(async () => this.#take(await readAlerts(this.token)));
      }
    } finally {
      this.#reading = false;
    }
  }

  async acknowledge(alert: Alert): Promise<void> {
    await this.#attempt(() => acknowledge(this.token, alert));
    await this.read();
  }

  async snooze(alert: Alert, until: Date | null): Promise<void> {
    await this.#attempt(() => snooze(this.token, alert, until));
    await this.read();
  }

  #take({ alerts, open }: { alerts: Alert[]; open: number }): void {
    const known = this.list && new Set(this.list.map(({ id }) => id));
    // What was there when the page was opened is no news.
    const news = known && alerts.find(({ id }) => !known.has(id));
    this.list = alerts;
    this.open = open;
    // In the open list it is seen.
    if (news) this.fresh = this.shown ? null : news;
    else if (!alerts.some(({ id }) => id === this.fresh?.id)) this.fresh = null;
  }

  /** Throws what is a fault of the page. */
  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.problem = null;
    } catch (error) {
      if (error instanceof Refused) this.onrefused(error.refusal);
      else this.problem = problemOf(error);
    }
  }
}

export function isSnoozed(alert: Alert, now: number): boolean {
  return alert.snoozed_until !== null && Date.parse(alert.snoozed_until) > now;
}
