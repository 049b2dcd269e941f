/** A sign-in by token, which lives in this tab's session storage and nowhere else. */
import { isOwnMachine, readClaims, tokenInFragment } from './token';

/** What sign-ins of one kind have in common. */
export interface Kind {
  /** The key in the session storage. */
  place: string;
  /** Why a token cannot be used, if that can be seen from here. The service decides. */
  refuse: (token: string) => string | null;
  /** What is said of one that has ended. */
  expired: string;
}

/** A token that a link brought. */
export interface Offer {
  token: string;
  subject: string;
  tenant: string | undefined;
  /** Why it cannot be used. */
  refusal: string | null;
}

export class TabSession {
  token = $state<string | null>(null);
  /** Who it is, as the token says. */
  subject = $state('');
  /** Why the last token did not hold, as a sentence. */
  notice = $state<string | null>(null);
  /** Waits for somebody to say whether it is taken: a link must not make a visitor somebody else. */
  offer = $state<Offer | null>(null);
  readonly #kind: Kind;
  #expiry: ReturnType<typeof setTimeout> | undefined;

  constructor(kind: Kind) {
    this.#kind = kind;
    const kept = sessionStorage.getItem(kind.place);
    if (kept !== null) this.take(kept);
    this.#lookAtAddress();
    addEventListener('hashchange', () => this.#lookAtAddress());
  }

  signIn(pasted: string): void {
    const token = pasted.trim().replace(/^Bearer\s+/i, '');
    const refusal = this.#kind.refuse(token);
    if (refusal !== null) return this.signOut(refusal);
    this.take(token);
  }

  /** Takes a token that holds unless it has expired: an issuer's claims may have any names. */
  protected take(token: string): void {
    const { expiresAt, subject } = readClaims(token) ?? {};
    if (expiresAt !== undefined && expiresAt <= Date.now()) return this.signOut(this.#kind.expired);
    sessionStorage.setItem(this.#kind.place, token);
    this.notice = null;
    this.subject = subject ?? '';
    this.token = token;
    clearTimeout(this.#expiry);
    if (expiresAt === undefined) return;
    // A timer holds 24 days at most; the server ends a longer one.
    const left = Math.min(expiresAt - Date.now(), 2 ** 31 - 1);
    this.#expiry = setTimeout(() => {
      if (Date.now() >= expiresAt) this.signOut(this.#kind.expired);
    }, left);
  }

  signOut(notice: string | null = null): void {
    clearTimeout(this.#expiry);
    sessionStorage.removeItem(this.#kind.place);
    this.token = null;
    this.notice = notice;
  }

  /** Takes the token that a link brought, or leaves it. */
  answer(isTaken: boolean): void {
    const { offer } = this;
    this.offer = null;
    if (isTaken && offer) this.signIn(offer.token);
  }

  /**
   * A token in the address leaves the address and the history. It is taken at once where nobody is
   * signed in and the page is of this very machine, as in development: otherwise somebody is asked.
   */
  #lookAtAddress(): void {
    const token = tokenInFragment(location.hash);
    if (token === null) return;
    history.replaceState(history.state, '', location.pathname + location.search);
    if (token === this.token) return;
    if (this.token === null && isOwnMachine(location.hostname)) return this.signIn(token);
    const { subject = '', tenant } = readClaims(token) ?? {};
    this.offer = { token, subject, tenant, refusal: this.#kind.refuse(token) };
  }
}
