/** Which operator is signed in. The token lives in this tab's session storage, under a key of its own. */
import { readClaims, tokenInFragment } from '../lib/token';
import { words } from './words';

const PLACE = 'tidemark.platform.token';

class Session {
  token = $state<string | null>(null);
  /** Who it is, as the token says. */
  subject = $state('');
  /** Why the last token did not hold, as a sentence. */
  notice = $state<string | null>(null);
  #expiry: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.#takeFragment();
    if (this.token === null && this.notice === null) {
      const kept = sessionStorage.getItem(PLACE);
      if (kept !== null) this.signIn(kept);
    }
    addEventListener('hashchange', () => this.#takeFragment());
  }

  signIn(pasted: string): void {
    const token = pasted.trim().replace(/^Bearer\s+/i, '');
    const refusal = refuse(token);
    if (refusal !== null) return this.signOut(refusal);
    const { expiresAt, subject } = readClaims(token) ?? {};
    sessionStorage.setItem(PLACE, token);
    this.notice = null;
    this.subject = subject ?? '';
    this.token = token;
    clearTimeout(this.#expiry);
    if (expiresAt === undefined) return;
    // A timer holds 24 days at most; the server ends a longer one.
    const left = Math.min(expiresAt - Date.now(), 2 ** 31 - 1);
    this.#expiry = setTimeout(() => {
      if (Date.now() >= expiresAt) this.signOut(words.signIn.expired);
    }, left);
  }

  signOut(notice: string | null = null): void {
    clearTimeout(this.#expiry);
    sessionStorage.removeItem(PLACE);
    this.token = null;
    this.notice = notice;
  }

  /** A token in the address signs in at once and leaves the address and the history. */
  #takeFragment(): void {
    const token = tokenInFragment(location.hash);
    if (token === null) return;
    history.replaceState(history.state, '', location.pathname + location.search);
    this.signIn(token);
  }
}

/** Why a token cannot be used, if that can be seen from here. The service decides. */
export function refuse(token: string): string | null {
  if (token === '') return words.signIn.empty;
  const claims = readClaims(token);
  if (!claims) return words.signIn.malformed;
  if (claims.expiresAt !== undefined && claims.expiresAt <= Date.now()) return words.signIn.expired;
  if (claims.tenant !== undefined || !claims.roles.includes('platform')) return words.signIn.forbidden;
  return null;
}

export const session = new Session();
