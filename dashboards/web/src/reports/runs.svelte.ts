/** The runs of one report, followed while something of them moves. */
import { problemOf } from '../lib/download.svelte';
import { Refused } from '../lib/live';
import type { Problem } from '../lib/protocol';
import { cancelRun, readRuns } from './api';
import { isMoving, merged, type Run } from './run';

const PAGE = 20;
/** Pauses between two looks: short at first, for what is done soon. */
const FIRST_MS = 800;
const LONGEST_MS = 8_000;
/** After so long nobody looks any more unless somebody asks. */
const WATCHED_MS = 30 * 60_000;

/** Whether it may be gone at the next look: the service is away, busy, or asks for patience. */
function isPassing({ status }: Problem): boolean {
  return status === undefined || status === 429 || status >= 500;
}

export class Runs {
  list = $state.raw<readonly Run[] | null>(null);
  /** Whether there are older ones. */
  next = $state<string | null>(null);
  problem = $state.raw<Problem | null>(null);
  /** Whether changes show by themselves. */
  isWatched = $state(true);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pause = FIRST_MS;
  #since = Date.now();
  #isLooking = false;
  readonly #listeners = new AbortController();

  constructor(
    private readonly token: string, private readonly report: string,
    private readonly onrefused: (error: Refused) => void,
  ) {
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') void this.#look();
    }, { signal: this.#listeners.signal });
    void this.#look();
  }

  /** Looks now, and again soon. */
  refresh(): Promise<void> {
    [this.#pause, this.#since, this.isWatched] = [FIRST_MS, Date.now(), true];
    return this.#look();
  }

  async more(): Promise<void> {
    const { next } = this;
    if (next === null) return;
    await this.#attempt(async () => {
      const page = await readRuns(this.token, this.report, PAGE, next);
      const known = new Set(this.list?.map(({ run_id }) => run_id));
      this.list = [...(this.list ?? []), ...page.runs.filter(({ run_id }) => !known.has(run_id))];
      this.next = page.next;
    });
  }

  async cancel(run: Run): Promise<void> {
    await this.#attempt(() => cancelRun(this.token, this.report, run.run_id));
    const { problem } = this;
    await this.refresh();
    // What became of the run is looked at all the same, and does not hide why it could not be called off.
    this.problem ??= problem;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#listeners.abort();
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    clearTimeout(this.#timer);
    await this.#attempt(async () => {
      const page = await readRuns(this.token, this.report, PAGE, null);
      const list = merged(this.list ?? [], page.runs);
      // With nothing older at hand the page's cursor holds.
      if (list.length === page.runs.length) this.next = page.next;
      this.list = list;
    });
    this.#isLooking = false;
    this.#again();
  }

  #again(): void {
    if (this.#listeners.signal.aborted || document.visibilityState !== 'visible') return;
    if (this.problem === null ? !this.list?.some(isMoving) : !isPassing(this.problem)) return;
    this.isWatched = Date.now() - this.#since < WATCHED_MS;
    if (!this.isWatched) return;
    this.#timer = setTimeout(() => void this.#look(), this.#pause);
    this.#pause = Math.min(this.#pause * 1.5, LONGEST_MS);
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.problem = null;
    } catch (error) {
      if (this.#listeners.signal.aborted) return;
      if (error instanceof Refused) this.onrefused(error);
      else this.problem = problemOf(error);
    }
  }
}
