/** A dashboard while it is edited: its draft, what was done to it, and saving it over nobody's change. */
import { attempt } from '../../reports/loaded.svelte';
import type { Problem } from '../../lib/protocol';
import { replaceDashboard, type Dashboard } from '../api';
import type { DashboardDocument } from '../document';
import { withDocument, type Draft } from './change';
import { openIn, isStanding, refusalOf, type Mistake, type Owner } from './checks';
import { same } from './compare';
import { begun, done, redone, rested, undone, type History } from './undo';

/** What the form beside the grid is about. */
export type Chosen = Owner | { of: 'new' } | null;

interface Refusal {
  problem: Problem;
  sent: Draft;
  mistake: Mistake | null;
}

export class Editing {
  /** The dashboard that the draft is a change of, as the service told it. */
  base: Dashboard;
  chosen = $state.raw<Chosen>(null);
  isSaving = $state(false);
  /** What somebody else made of the dashboard meanwhile; it is asked what becomes of both. */
  conflict = $state.raw<Dashboard | null>(null);
  #history: History<Draft>;
  /** The draft as it was saved. */
  #saved: Draft;
  #refusal = $state.raw<Refusal | null>(null);
  /** Whether what is left open is said: once somebody tried to save it. */
  #isTold = $state(false);

  readonly draft: Draft;
  readonly isChanged: boolean;
  readonly canUndo: boolean;
  readonly canRedo: boolean;
  readonly mistakes: readonly Mistake[];
  /** What the service refused without naming a place that still stands there. */
  readonly problem: Problem | null;

  constructor(private readonly token: string, dashboard: Dashboard, draft?: Draft) {
    const read = draftOf(dashboard);
    this.base = $state.raw(dashboard);
    this.#saved = $state.raw(read);
    this.#history = $state.raw(draft ? done(begun(read), draft) : begun(read));
    this.draft = $derived(this.#history.present);
    this.isChanged = $derived(!same(this.draft, this.#saved));
    this.canUndo = $derived(this.#history.past.length > 0);
    this.canRedo = $derived(this.#history.future.length > 0);
    this.mistakes = $derived.by(() => {
      const open = this.#isTold ? openIn(this.draft) : [];
      const { mistake, sent } = this.#refusal ?? {};
      return mistake && sent && isStanding(mistake, sent, this.draft) ? [...open, mistake] : open;
    });
    this.problem = $derived(this.#refusal?.mistake === null ? this.#refusal.problem : null);
  }

  /** The next state; successive ones about the same are one step. */
  change(draft: Draft, about: string | null = null): void {
    this.#history = done(this.#history, draft, about);
  }

  put(document: DashboardDocument, about: string | null = null): void {
    this.change(withDocument(this.draft, document), about);
  }

  /** What comes next is a step of its own. */
  rest(): void {
    this.#history = rested(this.#history);
  }

  undo(): void {
    this.#go(undone(this.#history));
  }

  redo(): void {
    this.#go(redone(this.#history));
  }

  choose(chosen: Chosen): void {
    this.chosen = chosen;
    this.rest();
  }

  /** Saves the draft in the place of a version: the one that was read, unless it says. */
  async save(over: number = this.base.version): Promise<boolean> {
    if (this.isSaving) return false;
    const sent = this.draft;
    this.#isTold = true;
    this.#refusal = null;
    const [open] = openIn(sent);
    if (open) {
      this.#show(open);
      return false;
    }
    this.isSaving = true;
    const result = await attempt(() => replaceDashboard(this.token, this.base.id, over, sent));
    this.isSaving = false;
    if (result === null) return false;
    if ('problem' in result) {
      this.#refuse(result.problem, sent);
      return false;
    }
    if (result.value.outcome === 'changed-meanwhile') {
      this.conflict = result.value.current;
      return false;
    }
    [this.base, this.#saved, this.conflict, this.#isTold] = [result.value.dashboard, sent, null, false];
    this.rest();
    return true;
  }

  /** Overwrites what is there, as it was shown. Whoever changed it since is asked about again. */
  keepMine(): Promise<boolean> {
    return this.conflict === null ? Promise.resolve(false) : this.save(this.conflict.version);
  }

  /** Goes on with what is there; what was mine is one step back. */
  takeTheirs(): void {
    const theirs = this.conflict;
    if (theirs === null) return;
    const draft = draftOf(theirs);
    [this.base, this.#saved, this.conflict, this.#refusal, this.#isTold] = [theirs, draft, null, null, false];
    this.#go(done(this.#history, draft));
  }

  /** Goes on as if nothing had happened; saving asks again. */
  decideLater(): void {
    this.conflict = null;
  }

  #go(history: History<Draft>): void {
    this.#history = history;
    const { chosen } = this;
    const { filters, widgets } = history.present.document;
    const isGone = chosen?.of === 'widget' ? !widgets.some(({ id }) => id === chosen.id)
      : chosen?.of === 'filter' && !filters.some(({ id }) => id === chosen.id);
    if (isGone) this.chosen = null;
  }

  #refuse(problem: Problem, sent: Draft): void {
    const mistake = refusalOf(problem, sent);
    this.#refusal = { problem, sent, mistake };
    if (mistake) this.#show(mistake);
  }

  /** Opens the form in which it is said. */
  #show({ owner }: Mistake): void {
    this.chosen = owner.of === 'widget' ? owner : { of: 'board' };
  }
}

function draftOf({ name, document }: Dashboard): Draft {
  return { name, document };
}
