/** Changes of many rows, noticed as often as they can be read and worked through. */

/** From so many rows on, changes are shown once a second. */
const LARGE = 2_000;
const PAUSE_MS = 1_000;

export class Paced {
  /** How often a change was shown: whoever reads it notices the next one. */
  seen = $state(0);
  #shown = 0;
  #shownAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** So many rows may have changed: that is shown at once, or when the last change has been for a while. */
  note(size: number): void {
    const wait = size < LARGE ? 0 : this.#shownAt + PAUSE_MS - Date.now();
    if (wait <= 0) this.#show();
    else this.#timer ??= setTimeout(() => this.#show(), wait);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #show(): void {
    this.stop();
    this.#shownAt = Date.now();
    this.#shown += 1;
    this.seen = this.#shown;
  }
}
