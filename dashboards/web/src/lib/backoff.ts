/** Waiting longer after each failure, with jitter so that many pages do not return at once. */
export class Backoff {
  #failures = 0;

  constructor(
    private readonly firstMs = 500,
    private readonly longestMs = 10_000,
    private readonly random: () => number = Math.random,
  ) {}

  /** How long to wait before the next attempt: between half and all of the doubled step. */
  next(): number {
    const step = Math.min(this.longestMs, this.firstMs * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 30);
    return step / 2 + (this.random() * step) / 2;
  }

  reset(): void {
    this.#failures = 0;
  }
}
