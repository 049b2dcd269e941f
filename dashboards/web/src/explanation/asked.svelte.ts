/** What was asked about one figure, and what came. */
import { problemOf } from '../lib/download.svelte';
import { Refused } from '../lib/live';
import type { Why } from '../lib/place';
import type { Problem } from '../lib/protocol';
import { readExplanation } from './api';
import type { Explanation } from './explanation';

/** How many events are listed at first, how many times as many with each step, and at most. */
const FEW = 100;
const STEP = 5;
const MOST = 2_500;

export class Asked {
  answer = $state.raw<Explanation | null>(null);
  problem = $state.raw<Problem | null>(null);
  isLoading = $state(false);
  #limit = FEW;
  /** Of several questions the last one counts. */
  #turn = 0;

  constructor(
    private readonly token: string, private readonly view: string, private readonly why: Why,
    private readonly onrefused: (error: Refused) => void,
  ) {}

  /** Whether there are more events and room to list them. */
  get hasMore(): boolean {
    return this.answer !== null && this.answer.next !== null && this.answer.rows.length < MOST;
  }

  /** As it is now, with as many events as were listed. */
  load(): Promise<void> {
    return this.#ask(this.#limit);
  }

  /**
   * More events, and those before them again: so all of them stand at one position with the figure, and
   * add up to it, whatever came since.
   */
  more(): Promise<void> {
    return this.#ask(Math.min(this.#limit * STEP, MOST));
  }

  /** What still comes is not for anybody. */
  close(): void {
    this.#turn += 1;
  }

  async #ask(limit: number): Promise<void> {
    this.#turn += 1;
    const turn = this.#turn;
    this.isLoading = true;
    try {
      const answer = await readExplanation(this.token, this.view, this.why, limit);
      if (turn !== this.#turn) return;
      [this.answer, this.problem] = [answer, null];
      this.#limit = limit;
    } catch (error) {
      if (turn !== this.#turn) return;
      if (error instanceof Refused) this.onrefused(error);
      else this.problem = problemOf(error);
    } finally {
      if (turn === this.#turn) this.isLoading = false;
    }
  }
}
