/** The template that the firm was given, as an admin sees it: whether a newer version is there, and taking it over. */
import { problemOf } from '../lib/download.svelte';
import { Refused } from '../lib/live';
import type { Problem } from '../lib/protocol';
import { readTemplate, takeOver, type Read } from './api';
import { doneTo, openConflicts, settlement, type Given, type Side } from './merge';

/** What was done when a version was taken over. */
export interface Done {
  version: number;
  /** Null where the answer was lost. */
  parts: ReturnType<typeof doneTo> | null;
}

/** A refusal with what the service says beside it. */
export interface TemplateProblem extends Problem {
  /** The part that must be settled as a whole. */
  path?: string;
}

/** Refusals after which what is shown is not how it is. */
const STALE = /:(template-conflicts|template-version|changed-meanwhile|invalid-settlement)$/;

export class Template {
  #read = $state.raw<Read | null | undefined>(undefined);
  /** Why it could not be read. */
  problem = $state.raw<Problem | null>(null);
  /** Why it was not taken over. */
  refusal = $state.raw<TemplateProblem | null>(null);
  isApplying = $state(false);
  done = $state.raw<Done | null>(null);
  /** Path → side, of parts as a whole and of conflicts. */
  chosen = $state<Record<string, Side>>({});

  constructor(private readonly token: string) {}

  /** Undefined until it was read; null for a firm without a template. */
  get given(): Given | null | undefined {
    return this.#read === null ? null : this.#read?.given;
  }

  get isNewer(): boolean {
    return this.given?.is_newer === true;
  }

  /** Reads it anew; choices about what is still there hold. Throws `Refused`. */
  async read(): Promise<void> {
    // What is being changed is told by the answer to the change.
    if (this.isApplying) return;
    try {
      const read = await readTemplate(this.token);
      if (this.isApplying) return;
      this.#read = read;
      this.problem = null;
    } catch (error) {
      if (error instanceof Refused) throw error;
      this.problem = problemOf(error);
    }
  }

  /** Chooses; null: as the merge has it. */
  choose(path: string, side: Side | null): void {
    if (side === null) delete this.chosen[path];
    else this.chosen[path] = side;
    this.refusal = null;
  }

  /** Takes the newer version over as it was read and settled. Throws `Refused`. */
  async apply(): Promise<void> {
    const read = this.#read;
    if (!read || this.isApplying || openConflicts(read.given, this.chosen).length > 0) return;
    const told = settlement(read.given, this.chosen);
    [this.isApplying, this.refusal, this.done] = [true, null, null];
    try {
      this.#read = await takeOver(this.token, read, told);
      this.#isDone({ version: read.given.newest, parts: doneTo(read.given, told) });
    } catch (error) {
      if (error instanceof Refused) throw error;
      this.refusal = problemOf(error);
    } finally {
      this.isApplying = false;
    }
    if (this.refusal !== null) await this.#lookAgain(this.refusal, read.given.newest);
  }

  /** After a refusal that says so, or a break, what is shown may not be how it is. */
  async #lookAgain(refusal: TemplateProblem, version: number): Promise<void> {
    const isBreak = refusal.status === undefined;
    if (!isBreak && !STALE.test(refusal.type ?? '')) return;
    await this.read();
    // The answer alone was lost.
    if (isBreak && this.given?.version === version) this.#isDone({ version, parts: null });
  }

  #isDone(done: Done): void {
    [this.done, this.refusal, this.chosen] = [done, null, {}];
  }
}
