/** The figures of the overview: exact sums over the live rows, by currency. */
import { parseDecimal, type Decimal } from './decimal';
import type { Desk, Followed } from './desk.svelte';
import { Sums, type Group, type SumsShape } from './folds';
import type { Rows } from './rows';

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
  readonly #stops: (() => void)[] = [];

  /** The currency the reader chose; the firm's own at first. */
  chosen = $state<string | null>(null);

  constructor(private readonly desk: Desk) {
    [this.aging, this.#aging] = this.#follow('ar_aging', { by: 'currency', sums: [...BUCKETS, 'total'] });
    [this.projects, this.#projects] = this.#follow('project_profitability', {
      by: 'currency', sums: ['revenue', 'labour_cost', 'material_cost', 'expenses', 'profit'],
    });
    [this.pipeline, this.#open] = this.#follow('pipeline', { by: 'currency', sums: [] });
    [this.streaks, this.#streaks] = this.#follow('completion_streaks', {
      sums: [], counts: { running: (cell) => Number(cell('current_streak')) > 0 },
    });
    [this.stock, this.#stock] = this.#follow('inventory_levels', {
      sums: ['value'], counts: { below: (cell) => cell('below_reorder') === true },
    });
    [this.people, this.#people] = this.#follow('headcount', { sums: ['active', 'joined_30d', 'left_30d'] });
    [this.hours, this.#hours] = this.#follow('labour_hours', { sums: ['hours', 'billable_hours'] });
  }

  #follow(view: string, shape: SumsShape): [Followed, Sums] {
    const { followed, sums, stop } = summed(this.desk, view, shape);
    this.#stops.push(stop);
    return [followed, sums];
  }

  /** Follows nothing any more. */
  stop(): void {
    for (const stop of this.#stops) stop();
  }

  /** Currencies that figures are in, the firm's own first. They are never added together. */
  readonly currencies: string[] = $derived.by(() => {
    void this.aging.version;
    void this.projects.version;
    void this.pipeline.version;
    return currenciesOf(this.desk.tenant?.currency, [this.#aging, this.#projects, this.#open]);
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

/** A view's rows and sums over them, both until `stop` is called. */
export function summed(desk: Desk, view: string, shape: SumsShape): { followed: Followed; sums: Sums; stop: () => void } {
  const borrowed = desk.share({ view });
  const { rows } = borrowed.followed.subscription;
  const sums = rows.fold(new Sums(shape));
  const stop = () => {
    rows.unfold(sums);
    borrowed.stop();
  };
  return { followed: borrowed.followed, sums, stop };
}

/** The currencies by which sums are grouped, the firm's own first. */
export function currenciesOf(own: string | undefined, all: readonly Sums[]): string[] {
  const found = new Set(all.flatMap((sums) => [...sums.groups.keys()]));
  const others = [...found].filter((currency) => currency !== own).sort();
  return own === undefined ? others : [own, ...others];
}

/** What projects are called, by their numbers; of the rows of their figures. */
export function projectNames(rows: Rows): ReadonlyMap<string, string> {
  const known = new Map<string, string>();
  if (!rows.complete) return known;
  const [id, name] = [rows.columns.at('project_id'), rows.columns.at('name')];
  for (const row of rows.values()) if (row[name]) known.set(String(row[id]), String(row[name]));
  return known;
}

/** A copy of the sums as they are now; reading them in a template follows the rows they are of. */
export function group(followed: Followed, sums: Sums, name = ''): Group {
  void followed.version;
  const { rows, sums: added, counts } = sums.group(name);
  return { rows, sums: { ...added }, counts: { ...counts } };
}
