/**
 * What several hold under one name: one of each, for as long as somebody holds it and a little longer, so
 * that whoever comes back finds it as it was.
 */

interface Held<T> {
  value: T;
  holders: number;
  leaving: ReturnType<typeof setTimeout> | undefined;
}

export interface SharedShape<T> {
  /** How many there may be; of those that nobody holds, the one that was left first goes first. */
  most: number;
  /** For how long one is kept that nobody holds. */
  lingerMs: number;
  /** Whether one that nobody holds is worth keeping. */
  isKept: (value: T) => boolean;
  end: (value: T) => void;
}

export class Shared<T> {
  /** In the order in which they were begun or left. */
  readonly #held = new Map<string, Held<T>>();

  constructor(private readonly shape: SharedShape<T>) {}

  /** The one of this name, begun if there is none, until `stop` is called. */
  take(name: string, begin: () => T): { value: T; stop: () => void } {
    const held = this.#held.get(name) ?? { value: begin(), holders: 0, leaving: undefined };
    clearTimeout(held.leaving);
    held.holders += 1;
    this.#held.set(name, held);
    this.#makeRoom();
    let isHeld = true;
    const stop = () => {
      if (isHeld) this.#leave(name, held);
      isHeld = false;
    };
    return { value: held.value, stop };
  }

  /** Ends nothing, as what they are of has ended; none is kept any more. */
  close(): void {
    for (const { leaving } of this.#held.values()) clearTimeout(leaving);
    this.#held.clear();
  }

  #leave(name: string, held: Held<T>): void {
    held.holders -= 1;
    if (held.holders > 0 || this.#held.get(name) !== held) return;
    if (!this.shape.isKept(held.value)) return this.#end(name, held);
    this.#held.delete(name);
    this.#held.set(name, held);
    held.leaving = setTimeout(() => this.#end(name, held), this.shape.lingerMs);
    this.#makeRoom();
  }

  /** What is held stays, also beyond the bound: then it is for whoever gave the bound to refuse it. */
  #makeRoom(): void {
    for (const [name, held] of this.#held) {
      if (this.#held.size <= this.shape.most) return;
      if (held.holders === 0) this.#end(name, held);
    }
  }

  #end(name: string, held: Held<T>): void {
    clearTimeout(held.leaving);
    this.#held.delete(name);
    this.shape.end(held.value);
  }
}
