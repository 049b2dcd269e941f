/**
 * One WebSocket for everything the page follows.
 *
 * In: subscriptions to views and SQL. Out: their rows, kept exactly (see `rows.ts`), and the state of the
 * connection. After a drop it comes back by itself with growing pauses and resumes each
 * subscription from its position; only `refused` ends it.
 */
import { Backoff } from './backoff';
import { patienceWith } from './passing';
import {
  CLOSE_TOKEN_EXPIRED, CLOSE_TOKEN_REFUSED, parseMessage, type Problem, type ServerMessage,
  type SubscribeMessage, type Target,
} from './protocol';
import { Diverged, Rows } from './rows';

/** Why a person has to sign in again. */
export type Refusal = 'expired' | 'refused' | 'forbidden';

export class Refused extends Error {
  constructor(readonly refusal: Refusal) {
    super(refusal);
  }
}

export type Link =
  | { state: 'connecting' }
  | { state: 'live' }
  /** Not connected; the next attempt is at `retryAt` (milliseconds of the epoch). */
  | { state: 'lost'; retryAt: number }
  | { state: 'closed' };

/** The little of a WebSocket that is used, so that tests can hold the other end. */
export interface Socket {
  send(text: string): void;
  close(code?: number): void;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number }) => void) | null;
}

export interface LiveOptions {
  /** A fresh socket, let in by a ticket. Throws `Refused` if signing in again is the only way. */
  connect(): Promise<Socket>;
  onlink(link: Link): void;
  /** Called for every message: the figures held are those of this moment. */
  onheard(at: number): void;
  onrefused(refusal: Refusal): void;
  backoff?: Backoff;
  now?: () => number;
}

/** A server says something every 15 seconds; after this long without a word the link is dead. */
export const SILENCE_MS = 40_000;
/** How long one attempt to connect may take. */
const ATTEMPT_MS = 10_000;
/** The subscription to alerts; those to views have other ids. */
const ALERTS = { type: 'subscribe', id: 'alerts', alerts: true };
/** How soon, and how rarely in the end, a subscription with a passing problem is asked for again. */
const AGAIN_MS = [1_000, 60_000] as const;
/** At most so many changes of a view a second: as many as can be read. */
const MAX_RATE_MS = 200;

export class Subscription {
  readonly rows = new Rows();
  /** Why it has ended; what it held is old. */
  problem: Problem | undefined;
  /** When it is asked for again after a problem. */
  again: ReturnType<typeof setTimeout> | undefined;
  readonly backoff = new Backoff(...AGAIN_MS);

  constructor(
    readonly id: string,
    readonly target: Target,
    /** Called after the rows or the problem changed. */
    readonly onchange: () => void,
    /** The least milliseconds between two changes. */
    readonly everyMs: number = MAX_RATE_MS,
  ) {}

  message(): SubscribeMessage {
    return {
      type: 'subscribe',
      id: this.id,
      ...this.target,
      max_rate_ms: this.everyMs,
      ...(this.rows.position !== undefined ? { resume: this.rows.position } : {}),
    };
  }
}

export class Live {
  #socket: Socket | undefined;
  #open = false;
  #closed = false;
  #attempt = 0;
  #numbers = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setTimeout> | undefined;
  readonly #subscriptions = new Map<string, Subscription>();
  /** What is told to the service at the end of the turn in which it was asked for. */
  readonly #ended = new Set<string>();
  readonly #begun = new Set<Subscription>();
  #isTelling = false;
  #onalerts: (() => void) | undefined;
  readonly #backoff: Backoff;
  readonly #now: () => number;

  constructor(private readonly options: LiveOptions) {
    this.#backoff = options.backoff ?? new Backoff();
    this.#now = options.now ?? Date.now;
    void this.#connect();
  }

  follow(target: Target, onchange: () => void, everyMs?: number): Subscription {
    this.#numbers += 1;
    const subscription = new Subscription(`s${this.#numbers}`, target, onchange, everyMs);
    this.#subscriptions.set(subscription.id, subscription);
    if (this.#open) {
      this.#begun.add(subscription);
      this.#tellSoon();
    }
    return subscription;
  }

  unsubscribe(subscription: Subscription): void {
    if (!this.#subscriptions.delete(subscription.id)) return;
    clearTimeout(subscription.again);
    // What was not asked for yet need not be taken back.
    if (this.#begun.delete(subscription) || !this.#open) return;
    this.#ended.add(subscription.id);
    this.#tellSoon();
  }

  /** Calls back once the line stands, and whenever there may be something new about alerts. */
  followAlerts(onalerts: () => void): void {
    this.#onalerts = onalerts;
    if (this.#open) this.#send(ALERTS);
  }

  /** Asks again for a subscription that was answered by a problem. */
  resubscribe(subscription: Subscription): void {
    if (!this.#subscriptions.has(subscription.id) || !this.#open) return this.retry();
    // It is asked for at the end of this turn anyway.
    if (this.#begun.has(subscription)) return;
    clearTimeout(subscription.again);
    this.#send({ type: 'unsubscribe', id: subscription.id });
    subscription.rows.reset();
    this.#send(subscription.message());
  }

  /** Asks again for all that have ended, since there may be a reason that they would not now. */
  askAgain(): void {
    if (!this.#open) return;
    for (const subscription of this.#subscriptions.values()) if (subscription.problem) this.resubscribe(subscription);
  }

  /** Tries again now instead of at the end of the pause. */
  retry(): void {
    if (this.#retry === undefined) return;
    clearTimeout(this.#retry);
    void this.#connect();
  }

  /** Asks for a sign of life, after the machine slept or the network changed. */
  probe(): void {
    if (!this.#open) return this.retry();
    this.#send({ type: 'ping' });
    this.#expectWithin(5_000);
  }

  close(): void {
    this.#closed = true;
    this.#drop();
    this.options.onlink({ state: 'closed' });
  }

  async #connect(): Promise<void> {
    this.#retry = undefined;
    this.#attempt += 1;
    const attempt = this.#attempt;
    this.options.onlink({ state: 'connecting' });
    try {
      this.#expectWithin(ATTEMPT_MS);
      const socket = await this.options.connect();
      if (attempt !== this.#attempt || this.#closed) return socket.close();
      this.#listen(socket);
    } catch (error) {
      if (attempt !== this.#attempt || this.#closed) return;
      if (error instanceof Refused) return this.#refuse(error.refusal);
      this.#lost();
    }
  }

  #listen(socket: Socket): void {
    this.#socket = socket;
    socket.onopen = () => {
      this.#open = true;
      this.#expectWithin(SILENCE_MS);
      for (const subscription of this.#subscriptions.values()) this.#send(subscription.message());
      if (this.#onalerts) this.#send(ALERTS);
      this.options.onlink({ state: 'live' });
    };
    socket.onmessage = (event) => {
      if (this.#socket === socket) this.#hear(String(event.data));
    };
    socket.onclose = (event) => {
      if (this.#socket !== socket) return;
      if (event.code === CLOSE_TOKEN_EXPIRED) return this.#refuse('expired');
      if (event.code === CLOSE_TOKEN_REFUSED) return this.#refuse('refused');
      this.#lost();
    };
  }

  #hear(text: string): void {
    this.#expectWithin(SILENCE_MS);
    this.options.onheard(this.#now());
    const message = parseMessage(text);
    // A link that lives to its first heartbeat is a good one.
    if (message?.type === 'heartbeat') this.#backoff.reset();
    if (message?.type === 'alerts') return this.#onalerts?.();
    if (!message || !('id' in message) || message.id === undefined) return;
    const subscription = this.#subscriptions.get(message.id);
    // What comes for a subscription that has just been given up is no news.
    if (!subscription) return;
    try {
      this.#apply(subscription, message);
    } catch (error) {
      if (!(error instanceof Diverged)) throw error;
      // Begin this one from a snapshot, after the usual pause so that a fault cannot spin.
      subscription.rows.reset();
      this.#lost();
    }
  }

  #apply(subscription: Subscription, message: ServerMessage): void {
    const { rows } = subscription;
    switch (message.type) {
      case 'snapshot':
        if (!rows.snapshot(message)) return;
        subscription.problem = undefined;
        subscription.backoff.reset();
        break;
      case 'delta':
        rows.delta(message.changes, message.position);
        subscription.problem = undefined;
        break;
      case 'resumed':
        rows.position = message.position;
        if (subscription.problem === undefined) return;
        subscription.problem = undefined;
        break;
      case 'reset':
        rows.reset();
        return;
      case 'error':
        subscription.problem = message.problem;
        // It has ended, and cannot go on from where it stood.
        rows.reset();
        this.#askLater(subscription, message.problem);
        break;
      default:
        return;
    }
    subscription.onchange();
  }

  #askLater(subscription: Subscription, problem: Problem): void {
    const patience = patienceWith(problem);
    clearTimeout(subscription.again);
    if (patience === null) return;
    // After a drop all are asked for anyway.
    subscription.again = setTimeout(() => {
      if (this.#open) this.resubscribe(subscription);
    }, subscription.backoff.next() * patience);
  }

  #send(message: object): void {
    this.#socket?.send(JSON.stringify(message));
  }

  #tellSoon(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    queueMicrotask(() => {
      this.#isTelling = false;
      this.#tell();
    });
  }

  /**
   * What ends comes before what begins, in whichever order a page was left and another one opened: a
   * connection may have only so many subscriptions.
   */
  #tell(): void {
    for (const id of this.#ended) this.#send({ type: 'unsubscribe', id });
    for (const subscription of this.#begun) this.#send(subscription.message());
    this.#ended.clear();
    this.#begun.clear();
  }

  #expectWithin(milliseconds: number): void {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#lost(), milliseconds);
  }

  #lost(): void {
    this.#drop();
    const pause = this.#backoff.next();
    this.#retry = setTimeout(() => void this.#connect(), pause);
    this.options.onlink({ state: 'lost', retryAt: this.#now() + pause });
  }

  #refuse(refusal: Refusal): void {
    this.close();
    this.options.onrefused(refusal);
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#open = false;
    this.#attempt += 1;
    clearTimeout(this.#watch);
    clearTimeout(this.#retry);
    this.#retry = undefined;
    // Whatever is followed by then is asked for when the line is back.
    this.#ended.clear();
    this.#begun.clear();
    // A snapshot cut off in the middle begins again from the start.
    for (const { rows, again } of this.#subscriptions.values()) {
      rows.abandon();
      clearTimeout(again);
    }
    socket?.close();
  }
}
