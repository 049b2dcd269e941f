/** The figures of the overview: exact sums over the live rows, by currency. */
import { parseDecimal, type Decimal } from './decimal';
import type { Desk, Followed } from './desk.svelte';
import { Sums, type Group } from './folds';

export const BUCKETS = ['current', 'd1_30', 'd31_60', 'd61_90', 'd90_plus'] as const;
export type Bucket = (typeof BUCKETS)[number];

export class Figures {
  readonly aging: Followed;
  readonly projects: Followed;
  readonly pipeline: Followed;
  readonly streaks: Followed;
  readonly stock: Followed;
  readonly people: Followed;
  readonly hours: Followed;

  readonly #aging: Sums;
  readonly #projects: Sums;
  readonly #open: Sums;
  readonly #stock: Sums;
  readonly #people: Sums;
  readonly #hours: Sums;
  readonly #streaks: Sums;

  /** The currency the reader chose; the firm's own at first. */
  chosen = $state<string | null>(null);

  constructor(private readonly desk: Desk) {
    this.aging = desk.follow('ar_aging');
    this.#aging = this.aging.subscription.rows.fold(
      new Sums({ by: 'currency', sums: [...BUCKETS, 'total'] }),
    );
    this.projects = desk.follow('project_profitability');
    this.#projects = this.projects.subscription.rows.fold(
      new Sums({
        by: 'currency',
        sums: ['revenue', 'labour_cost', 'material_cost', 'expenses', 'profit'],
      }),
    );
    this.pipeline = desk.follow('pipeline');
    this.#open = this.pipeline.subscription.rows.fold(new Sums({ by: 'currency', sums: [] }));
    this.streaks = desk.follow('completion_streaks');
    this.#streaks = this.streaks.subscription.rows.fold(
      new Sums({ sums: [], counts: { running: (cell) => Number(cell('current_streak')) > 0 } }),
    );
    this.stock = desk.follow('inventory_levels');
    this.#stock = this.stock.subscription.rows.fold(
      new Sums({ sums: ['value'], counts: { below: (cell) => cell('below_reorder') === true } }),
    );
    this.people = desk.follow('headcount');
    this.#people = this.people.subscription.rows.fold(
      new Sums({ sums: ['active', 'joined_30d', 'left_30d'] }),
    );
    this.hours = desk.follow('labour_hours');
    this.#hours = this.hours.subscription.rows.fold(new Sums({ sums: ['hours', 'billable_hours'] }));
  }

  /** Currencies that figures are in, the firm's own first. They are never added together. */
  readonly currencies: string[] = $derived.by(() => {
    void this.aging.version;
    void this.projects.version;
    void this.pipeline.version;
    const own = this.desk.tenant?.currency;
    const others = new Set<string>();
    for (const sums of [this.#aging, this.#projects, this.#open]) {
      for (const currency of sums.groups.keys()) if (currency !== own) others.add(currency);
    }
    return [...(own === undefined ? [] : [own]), ...[...others].sort()];
  });

  readonly currency: string = $derived(
    this.chosen !== null && this.currencies.includes(this.chosen)
      ? this.chosen
      : (this.currencies[0] ?? ''),
  );

  get owed(): Group {
    return group(this.aging, this.#aging, this.currency);
  }

  get earned(): Group {
    return group(this.projects, this.#projects, this.currency);
  }

  get inStock(): Group {
    return group(this.stock, this.#stock);
  }

  get employed(): Group {
    return group(this.people, this.#people);
  }

  get worked(): Group {
    return group(this.hours, this.#hours);
  }

  get routines(): Group {
    return group(this.streaks, this.#streaks);
  }

  /** What is past its due date. */
  get overdue(): Decimal {
    const { sums } = this.owed;
    return BUCKETS.slice(1).reduce((sum, bucket) => sum + (sums[bucket] ?? 0n), 0n);
  }

  /** The stages of the pipeline in the currency shown. */
  get stages(): Stage[] {
    const { rows } = this.pipeline;
    const stages: Stage[] = [];
    const { columns } = rows;
    if (!rows.complete) return stages;
    for (const row of rows.values()) {
      if (row[columns.at('currency')] !== this.currency) continue;
      stages.push({
        stage: String(row[columns.at('stage')]),
        opportunities: Number(row[columns.at('opportunities')]),
        amount: parseDecimal(String(row[columns.at('amount')] ?? '0')),
      });
    }
    return stages.sort((a, b) => b.opportunities - a.opportunities || (a.stage < b.stage ? -1 : 1));
  }
}

export interface Stage {
  stage: string;
  opportunities: number;
  amount: Decimal;
}

export function isClosed(stage: Stage): boolean {
  return stage.stage === 'won' || stage.stage === 'lost';
}

/** A copy of the sums as they are now; reading them in a template follows the rows they are of. */
function group(followed: Followed, sums: Sums, name = ''): Group {
  void followed.version;
  const { rows, sums: added, counts } = sums.group(name);
  return { rows, sums: { ...added }, counts: { ...counts } };
}
