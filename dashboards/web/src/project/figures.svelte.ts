/** The live figures of one project's page: the rows about it in each view, one currency at a time. */
import type { Desk, Followed } from '../lib/desk.svelte';
import { uses } from '../lib/modules';
import { textOf } from '../lib/ranking';
import { detailsOf, detailsSql, type Detail, type Kind } from './details';
import { amountOf, byLargest, currencyOf, linesOf, type Line } from './lines';

/** Details come less often than rows of views, since a query may have to be asked anew for them. */
const DETAILS_EVERY_MS = 2_000;

/** In this order. */
const ABOUT = ['status', 'manager', 'due_date'] as const;

export interface About {
  id: (typeof ABOUT)[number];
  text: string;
}

export class ProjectFigures {
  readonly money: Followed;
  readonly budgets: Followed;
  readonly hours: Followed;
  readonly failures: Followed;
  readonly invoices: Followed;
  readonly #stops: (() => void)[] = [];
  /** What only the events tell; null while, or where, they are not asked. */
  details = $state.raw<Followed | null>(null);
  /** The currency the reader chose; the firm's own at first, if the project has figures in it. */
  chosen = $state<string | null>(null);

  constructor(private readonly desk: Desk, readonly id: string) {
    const about = (view: string) => {
      const { followed, stop } = desk.borrow(view, { project_id: id });
      this.#stops.push(stop);
      return followed;
    };
    this.money = about('project_profitability');
    this.budgets = about('budget_variance');
    this.hours = about('labour_hours');
    this.failures = about('compliance_failures');
    this.invoices = about('open_invoices');
  }

  stop(): void {
    for (const stop of this.#stops) stop();
  }

  readonly #earned: Line[] = $derived.by(() => linesOf(this.money.rows, this.id));
  readonly #budgeted: Line[] = $derived.by(() => linesOf(this.budgets.rows, this.id));
  readonly #unpaid: Line[] = $derived.by(() => linesOf(this.invoices.rows, this.id));

  /** Currencies that the project has figures in, the firm's own first. They are never added together. */
  readonly currencies: string[] = $derived.by(() => {
    const own = this.desk.tenant?.currency;
    const all = new Set([...this.#earned, ...this.#budgeted, ...this.#unpaid].map(currencyOf));
    const others = [...all].filter((currency) => currency !== own).sort();
    return own !== undefined && all.has(own) ? [own, ...others] : others;
  });

  readonly currency: string = $derived.by(() => {
    if (this.chosen !== null && this.currencies.includes(this.chosen)) return this.chosen;
    return this.currencies[0] ?? this.desk.tenant?.currency ?? '';
  });

  /** What it is called; nothing while nobody has said so. */
  readonly name: string | null = $derived.by(() => {
    const named = this.#earned.map((line) => textOf(line.cell('name'))).find((name) => name !== '');
    return named ?? null;
  });

  readonly earned: Line | null = $derived.by(() => inCurrency(this.#earned, this.currency)[0] ?? null);
  readonly budget: Line | null = $derived.by(() => inCurrency(this.#budgeted, this.currency)[0] ?? null);
  /** The line with the material: stock is in the project's own currency, whichever is shown. */
  readonly material: Line | null = $derived.by(
    () => this.#earned.find((line) => amountOf(line, 'material_cost') !== 0n) ?? this.earned,
  );
  readonly worked: Line | null = $derived.by(() => linesOf(this.hours.rows, this.id)[0] ?? null);
  /** Unpaid invoices, the latest first. */
  readonly unpaid: Line[] = $derived.by(() => byLargest(inCurrency(this.#unpaid, this.currency), 'days_overdue'));
  /** Checks that failed, the last one first. */
  readonly failed: Line[] = $derived.by(() => {
    const at = (line: Line) => textOf(line.cell('failed_at'));
    return linesOf(this.failures.rows, this.id).sort((a, b) => (at(a) < at(b) ? 1 : at(a) > at(b) ? -1 : 0));
  });

  /** The views whose modules the firm uses. */
  readonly shown: Followed[] = $derived.by(() => {
    const of: [module: string, followed: Followed][] = [
      ['projects', this.money], ['governance', this.budgets], ['governance', this.failures],
      ['hr', this.hours], ['invoicing', this.invoices],
    ];
    return of.filter(([module]) => uses(this.desk.tenant, module)).map(([, followed]) => followed);
  });

  /** Whether details are still to come. */
  readonly isAsking: boolean = $derived.by(
    () => this.details !== null && !this.details.ready && !this.details.problem,
  );

  /** Whether all there is to ask has answered, and nothing of it knows the project. */
  readonly isUnknown: boolean = $derived.by(() => {
    if (this.desk.tenant === null || this.isAsking || (this.details?.rows.size ?? 0) > 0) return false;
    return this.shown.every((followed) => followed.ready && !followed.problem && followed.rows.size === 0);
  });

  readonly #sql: string | null = $derived.by(() => {
    const { analyses, tenant } = this.desk;
    return analyses === true && tenant !== null ? detailsSql(this.id, tenant) : null;
  });

  /** Follows the details for those who may ask, until what it returns is called. */
  followDetails(): (() => void) | undefined {
    const sql = this.#sql;
    if (sql === null) return undefined;
    const { followed, stop } = this.desk.share({ sql }, DETAILS_EVERY_MS);
    this.details = followed;
    return () => {
      stop();
      this.details = null;
    };
  }

  /** What is said of it: how it stands, who manages it, by which day it is due. */
  readonly about: readonly About[] = $derived.by(() => {
    const said = new Map(this.detailsOf('fact').map(({ id, name }) => [id, name]));
    return ABOUT.flatMap((id): About[] => {
      const text = said.get(id);
      return text === undefined || text === '' ? [] : [{ id, text }];
    });
  });

  /** The milestones that were reached, the last first. */
  readonly milestones: Detail[] = $derived.by(
    () => this.detailsOf('milestone').sort((a, b) => (a.day < b.day ? 1 : a.day > b.day ? -1 : 0)),
  );

  detailsOf(kind: Kind): Detail[] {
    return this.details?.ready === true ? detailsOf(this.details.rows, kind) : [];
  }
}

function inCurrency(lines: readonly Line[], currency: string): Line[] {
  return lines.filter((line) => currencyOf(line) === currency);
}
