/** Who is signed in. The token lives in this tab's session storage and nowhere else. */
import { finish, returned, takePending, type Returned } from './issuer';
import { mayRead, readClaims, tokenInFragment } from './token';
import { texts } from './texts';

const PLACE = 'tidemark.token';

class Session {
  token = $state<string | null>(null);
  /** Why the last token did not hold, as a sentence. */
  notice = $state<string | null>(null);
  /** Whether the issuer's code is being exchanged for a token. */
  isReturning = $state(false);
  #expiry: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.#takeFragment();
    const back = returned(location.search);
    if (back !== null) {
      void this.#comeBack(back);
    } else if (this.token === null && this.notice === null) {
      const kept = sessionStorage.getItem(PLACE);
      if (kept !== null) this.#take(kept);
    }
    addEventListener('hashchange', () => this.#takeFragment());
  }

  signIn(pasted: string): void {
    const token = pasted.trim().replace(/^Bearer\s+/i, '');
    const refusal = refuse(token);
    if (refusal !== null) return this.signOut(refusal);
    this.#take(token);
  }

  /** Takes a token that holds unless it has expired: an issuer's claims may have any names. */
  #take(token: string): void {
    const { expiresAt } = readClaims(token) ?? {};
    if (expiresAt !== undefined && expiresAt <= Date.now()) return this.signOut(texts.signIn.expired);
    sessionStorage.setItem(PLACE, token);
    this.notice = null;
    this.token = token;
    clearTimeout(this.#expiry);
    if (expiresAt === undefined) return;
    // A timer holds 24 days at most; the server ends a longer one.
    const left = Math.min(expiresAt - Date.now(), 2 ** 31 - 1);
    this.#expiry = setTimeout(() => {
      if (Date.now() >= expiresAt) this.signOut(texts.signIn.expired);
    }, left);
  }

  signOut(notice: string | null = null): void {
    clearTimeout(this.#expiry);
    sessionStorage.removeItem(PLACE);
    this.token = null;
    this.notice = notice;
  }

  /** The browser comes back from the issuer: to where it was, and signed in if it may be. */
  async #comeBack(back: Returned): Promise<void> {
    const pending = takePending();
    history.replaceState(null, '', pending?.place ?? '/');
    dispatchEvent(new PopStateEvent('popstate'));
    if (pending === null) return this.signOut(texts.signIn.failed('it was not begun in this tab'));
    this.isReturning = true;
    try {
      this.#take(await finish(back, pending));
    } catch (error) {
      this.signOut(texts.signIn.failed(error instanceof Error ? error.message : String(error)));
    } finally {
      this.isReturning = false;
    }
  }

  /** A token in the address signs in at once and leaves the address and the history. */
  #takeFragment(): void {
    const token = tokenInFragment(location.hash);
    if (token === null) return;
    history.replaceState(history.state, '', location.pathname + location.search);
    this.signIn(token);
  }
}

/** Why a token cannot be used, if that can be seen from here. */
function refuse(token: string): string | null {
  if (token === '') return texts.signIn.empty;
  const claims = readClaims(token);
  if (!claims) return texts.signIn.malformed;
  if (claims.expiresAt !== undefined && claims.expiresAt <= Date.now()) return texts.signIn.expired;
  if (claims.tenant === undefined || !mayRead(claims)) return texts.signIn.forbidden;
  return null;
}

export const session = new Session();
