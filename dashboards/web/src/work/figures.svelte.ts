/** The live figures of projects: what they earn, their budgets, and the hours of people on them. */
import type { Desk, Followed } from '../lib/desk.svelte';
import { currenciesOf, group, projectNames, summed } from '../lib/figures.svelte';
import { decimalOf, type Group, type Sums } from '../lib/folds';
import type { Cell } from '../lib/protocol';
import { textOf } from '../lib/ranking';

/** What a person worked in a week, in ten-thousandths of an hour. */
export interface Worked {
  person: string;
  hours: bigint;
  billable: bigint;
  /** The weekly hours; null where nobody has stated them. */
  capacity: bigint | null;
  /** Billable hours by weekly hours, in ten-thousandths of one. */
  utilization: bigint | null;
}

export class WorkFigures {
  readonly projects: Followed;
  readonly budgets: Followed;
  readonly hours: Followed;
  readonly people: Followed;
  readonly #projects: Sums;
  readonly #budgets: Sums;
  readonly #hours: Sums;
  readonly #stops: (() => void)[] = [];

  /** The currency the reader chose; the firm's own at first. */
  chosen = $state<string | null>(null);
  /** The week the reader chose, by its Monday; the last whole one at first. */
  chosenWeek = $state<string | null>(null);

  constructor(private readonly desk: Desk) {
    const projects = summed(desk, 'project_profitability', {
      by: 'currency', sums: ['revenue', 'labour_cost', 'material_cost', 'expenses', 'profit'],
    });
    const budgets = summed(desk, 'budget_variance', {
      by: 'currency', sums: ['budget', 'spent'], counts: { exceeded: (cell) => cell('exceeded') === true },
    });
    const hours = summed(desk, 'labour_hours', { sums: ['hours', 'billable_hours'] });
    const people = desk.share({ view: 'utilization' });
    this.projects = projects.followed;
    this.#projects = projects.sums;
    this.budgets = budgets.followed;
    this.#budgets = budgets.sums;
    this.hours = hours.followed;
    this.#hours = hours.sums;
    this.people = people.followed;
    this.#stops.push(projects.stop, budgets.stop, hours.stop, people.stop);
  }

  /** Follows nothing any more. */
  stop(): void {
    for (const stop of this.#stops) stop();
  }

  /** Currencies that figures are in, the firm's own first. They are never added together. */
  readonly currencies: string[] = $derived.by(() => {
    void this.projects.version;
    void this.budgets.version;
    return currenciesOf(this.desk.tenant?.currency, [this.#projects, this.#budgets]);
  });

  readonly currency: string = $derived(
    this.chosen !== null && this.currencies.includes(this.chosen) ? this.chosen : (this.currencies[0] ?? ''),
  );

  get earned(): Group {
    return group(this.projects, this.#projects, this.currency);
  }

  get budgeted(): Group {
    return group(this.budgets, this.#budgets, this.currency);
  }

  get worked(): Group {
    return group(this.hours, this.#hours);
  }

  /** What projects are called, by their numbers. */
  readonly names: ReadonlyMap<string, string> = $derived.by(() => projectNames(this.projects.rows));

  /** The weeks in which somebody worked, by their Mondays, the latest first. */
  readonly weeks: string[] = $derived.by(() => {
    const { rows } = this.people;
    if (!rows.complete) return [];
    const at = rows.columns.at('week');
    const found = new Set<string>();
    for (const row of rows.values()) found.add(textOf(row[at] ?? null));
    return [...found].sort().reverse();
  });

  /** The week that is shown: one that is over, so that it is whole, if there is one. */
  weekOn(today: string | null): string | null {
    if (this.chosenWeek !== null && this.weeks.includes(this.chosenWeek)) return this.chosenWeek;
    return this.weeks.find((week) => today === null || endOf(week) < today) ?? this.weeks[0] ?? null;
  }

  /** Who worked in a week, those most utilized first; whose weekly hours are not known come last. */
  peopleIn(week: string | null): Worked[] {
    const { rows } = this.people;
    if (!rows.complete || week === null) return [];
    const found: Worked[] = [];
    for (const row of rows.values()) {
      const cell = (name: string): Cell => row[rows.columns.at(name)] ?? null;
      if (cell('week') !== week) continue;
      const known = (name: string) => (cell(name) === null ? null : decimalOf(cell(name)));
      found.push({
        person: textOf(cell('employee_id')), hours: decimalOf(cell('hours')), billable: decimalOf(cell('billable_hours')),
        capacity: known('capacity'), utilization: known('utilization'),
      });
    }
    const rank = ({ utilization }: Worked) => utilization ?? -1n;
    return found.sort((a, b) => (rank(a) === rank(b) ? (a.person < b.person ? -1 : 1) : rank(a) < rank(b) ? 1 : -1));
  }
}

const DAY_MS = 86_400_000;

/** The Sunday of a week that is named by its Monday. */
export function endOf(monday: string): string {
  return new Date(Date.parse(`${monday}T00:00:00Z`) + 6 * DAY_MS).toISOString().slice(0, 10);
}
