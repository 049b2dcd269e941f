/** What one signed-in person looks at: the firm, its live figures and the state of the line. */
import { untrack } from 'svelte';
import { Alerts } from '../alerts/alerts.svelte';
import { Template } from '../settings/template.svelte';
import { CallFailed, connectLive, readAsOf, readMayAnalyse, readTenant, type Tenant } from './api';
import { brandOf, type Brand } from './branding';
import { todayIn } from './format';
import { locale } from './locale.svelte';
import { uses } from './modules';
import { Live, Refused, type Link, type Refusal, type Subscription } from './live';
import type { Cell, Problem, Target } from './protocol';
import type { Rows } from './rows';
import { Shared } from './shared';
import { StartPage } from './start_page.svelte';
import { mayAdminister, mayAnalyse, readClaims } from './token';
import { Trail } from './trail';

/** The rows of a view or an answer, readable in templates: reading `rows` notices every change. */
export class Followed {
  #version = $state(0);
  #hasRows = false;
  problem = $state<Problem | undefined>();
  /** When the rows changed last; null while they are as they were first seen. */
  changedAt = $state<number | null>(null);
  readonly since = Date.now();
  readonly subscription: Subscription;

  constructor(
    private readonly live: Live, target: Target, onchange: () => void,
    /** Whether the firm is known; without its currency no figure can be read. */
    private readonly known: () => boolean, everyMs?: number,
  ) {
    this.subscription = live.follow(target, () => {
      this.problem = this.subscription.problem;
      this.#version += 1;
      if (this.problem !== undefined) return;
      const isFirst = !this.#hasRows;
      this.#hasRows = true;
      // The first rows are where changes are counted from.
      if (isFirst) return;
      this.changedAt = Date.now();
      onchange();
    }, everyMs);
  }

  get version(): number {
    return this.#version;
  }

  get rows(): Rows {
    void this.#version;
    return this.subscription.rows;
  }

  get ready(): boolean {
    return this.rows.complete && this.known();
  }

  retry(): void {
    this.live.resubscribe(this.subscription);
  }

  stop(): void {
    this.live.unsubscribe(this.subscription);
  }
}

/** Rows for a while: until `stop` is called. */
export interface Borrowed {
  followed: Followed;
  stop: () => void;
}

/** How often the stated date is asked for again where events decide what day it is. */
const AS_OF_EVERY_MS = 60_000;

/** How soon a firm that could not be read is asked for again. */
const FIRM_AGAIN_MS = 5_000;

/**
 * How many subscriptions are kept: what a connection may have (64), but for the one to alerts and one to
 * spare. A dashboard has 60 widgets at most, and over them lie the rows and the events behind one figure.
 */
const MOST_FOLLOWED = 62;
/** How many figures have a course since the page was opened. */
const MOST_TRAILS = 1_000;
/** The modules that the page of projects, budgets and utilization has figures of. */
const WORK = ['projects', 'governance', 'hr'];
/** For how long rows that nobody looks at are kept up to date, for whoever comes back. */
const LINGER_MS = 60_000;

export class Desk {
  readonly openedAt = Date.now();
  tenant = $state<Tenant | null>(null);
  /** What its people know the firm by. */
  readonly brand: Brand = $derived(brandOf(this.tenant?.branding));
  link = $state<Link>({ state: 'connecting' });
  /** When the service was last heard: the figures shown are those of this moment. */
  heardAt = $state<number | null>(null);
  changedAt = $state<number | null>(null);
  /** Whether SQL and reports are for the one who is signed in; null while that is not known. */
  analyses = $state<boolean | null>(null);
  /** Whether the firm's settings are for the one who is signed in; null while that is not known. */
  administers = $state<boolean | null>(null);
  /** The date of the newest event, for a firm whose events decide what day it is. */
  #eventsDate = $state<string | null>(null);
  /** Whether it was read; there is none as long as there are no events. */
  #isDated = $state(false);
  readonly alerts: Alerts;
  readonly template: Template;
  readonly start: StartPage;
  readonly #live: Live;
  readonly #trails = new Map<string, Trail>();
  readonly #followed = new Shared<Followed>({
    most: MOST_FOLLOWED,
    lingerMs: LINGER_MS,
    // SQL that is followed is scarce, and what has failed is asked for anew.
    isKept: ({ problem, subscription }) => problem === undefined && 'view' in subscription.target,
    end: (followed) => followed.stop(),
  });
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #listeners = new AbortController();
  readonly #following: () => void;
  readonly #known = () => this.tenant !== null;

  constructor(readonly token: string, private readonly onrefused: (why: Refusal) => void) {
    this.#live = new Live({
      connect: () => connectLive(token),
      onlink: (link) => {
        this.link = link;
        if (link.state !== 'live') return;
        // A service that comes back may have a newer version of the template.
        void this.#readFirm().then(() => this.#readTemplate());
      },
      onheard: (at) => (this.heardAt = at),
      onrefused,
    });
    this.alerts = new Alerts(token, onrefused);
    this.template = new Template(token);
    this.#live.followAlerts(() => void this.alerts.read());
    // An issuer's tokens may name their roles in a claim that only the service knows.
    const claims = readClaims(token);
    this.analyses = mayAnalyse(claims);
    this.administers = mayAdminister(claims);
    this.start = new StartPage(claims);
    this.#following = $effect.root(() => {
      $effect(() => locale.take(this.tenant?.locale));
      // What was refused for a module may be there now.
      const modules = $derived(this.tenant?.modules.join(' '));
      $effect(() => {
        if (modules !== undefined) untrack(() => this.#live.askAgain());
      });
    });
    void this.#readFirm();
    this.#timer = setInterval(() => {
      if (this.tenant?.clock === 'events' && this.link.state === 'live') void this.#readAsOf();
    }, AS_OF_EVERY_MS);
    const { signal } = this.#listeners;
    // A network that goes says nothing on the line itself.
    for (const name of ['online', 'offline']) addEventListener(name, () => this.#live.probe(), { signal });
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') this.#live.probe();
    }, { signal });
  }

  /** Rows for a while, all or some of them, until `stop` is called. */
  borrow(view: string, where: Readonly<Record<string, Cell>>): Borrowed {
    return this.share(Object.keys(where).length > 0 ? { view, where } : { view });
  }

  /** Rows for as long as somebody has not called `stop`: one subscription however many ask for the same. */
  share(target: Target, everyMs?: number): Borrowed {
    const onchange = () => (this.changedAt = Date.now());
    const begin = () => new Followed(this.#live, target, onchange, this.#known, everyMs);
    const { value, stop } = this.#followed.take(JSON.stringify([target, everyMs ?? null]), begin);
    return { followed: value, stop };
  }

  /** What a figure has been since the page was opened; of very many, those that were asked for last. */
  trail(name: string): Trail {
    const trail = this.#trails.get(name) ?? new Trail();
    this.#trails.delete(name);
    this.#trails.set(name, trail);
    const [oldest] = this.#trails.keys();
    if (this.#trails.size > MOST_TRAILS && oldest !== undefined) this.#trails.delete(oldest);
    return trail;
  }

  /** Whether the one who is signed in is offered a page, by the first part of its address. */
  offers(page: string): boolean {
    switch (page) {
      case 'sql': case 'reports': return this.analyses === true;
      case 'settings': return this.administers === true;
      case 'work': return WORK.some((module) => uses(this.tenant, module));
      default: return true;
    }
  }

  /** What the firm is called on the page. */
  get name(): string | undefined {
    return this.brand.name ?? this.tenant?.name;
  }

  /** The firm's time zone; while it is not known, that of the world. */
  get timezone(): string {
    return this.tenant?.timezone ?? 'UTC';
  }

  /** The day the figures are stated for. */
  asOf(now: number): string | null {
    const { tenant } = this;
    if (!tenant) return null;
    if (tenant.clock.startsWith('fixed:')) return tenant.clock.slice('fixed:'.length);
    return tenant.clock === 'wall' ? todayIn(tenant.timezone, now) : this.#eventsDate;
  }

  /** Whether it is known which day that is, or that no event has said it yet. */
  get isDayKnown(): boolean {
    return this.tenant !== null && (this.tenant.clock !== 'events' || this.#isDated);
  }

  /** How the figures look while the line is down: they fade as they age. */
  faded(now: number): '' | 'ageing' | 'old' {
    if (this.link.state === 'live' || this.heardAt === null) return '';
    return now - this.heardAt > 60_000 ? 'old' : 'ageing';
  }

  /** Whether the line is down; making the first one is no loss until it fails. */
  get isAway(): boolean {
    const { state } = this.link;
    return state === 'lost' || (state === 'connecting' && this.heardAt !== null);
  }

  retry(): void {
    this.#live.retry();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#listeners.abort();
    this.#following();
    this.#followed.close();
    this.#live.close();
  }

  async #readFirm(): Promise<void> {
    if (this.#listeners.signal.aborted) return;
    try {
      this.tenant = await readTenant(this.token);
      if (this.tenant.clock === 'events') await this.#readAsOf();
      this.analyses ??= await readMayAnalyse(this.token);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** The template is for admins alone, which says who is one where the token does not. */
  async #readTemplate(): Promise<void> {
    if (this.#listeners.signal.aborted || this.administers === false) return;
    // A firm without a line of business most likely has none; its settings ask all the same.
    const vertical = this.tenant?.vertical ?? null;
    if (this.administers === true && vertical === null) return;
    try {
      await this.template.read();
      if (this.template.given !== undefined) this.administers = true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.refusal !== 'forbidden') return this.onrefused(error.refusal);
      this.administers = false;
    }
  }

  async #readAsOf(): Promise<void> {
    try {
      [this.#eventsDate, this.#isDated] = [await readAsOf(this.token), true];
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    if (error instanceof Refused) return this.onrefused(error.refusal);
    if (!(error instanceof CallFailed || error instanceof TypeError || error instanceof DOMException)) throw error;
    // The state of the line says that it is down; a firm that could not be read is asked for again.
    if (this.tenant === null && !this.#listeners.signal.aborted) {
      setTimeout(() => void this.#readFirm(), FIRM_AGAIN_MS);
    }
  }
}
