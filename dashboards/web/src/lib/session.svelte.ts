/** Who is signed in. */
import { finish, returned, takePending, type Returned } from './issuer';
import { TabSession } from './tab_session.svelte';
import { mayRead, readClaims } from './token';
import { texts } from './texts';

class Session extends TabSession {
  /** Whether the issuer's code is being exchanged for a token. */
  isReturning = $state(false);

  constructor() {
    super({ place: 'tidemark.token', refuse, expired: texts.signIn.expired });
    const back = returned(location.search);
    if (back !== null) void this.#comeBack(back);
  }

  /** The browser comes back from the issuer: to where it was, and signed in if it may be. */
  async #comeBack(back: Returned): Promise<void> {
    const pending = takePending();
    history.replaceState(null, '', pending?.place ?? '/');
    dispatchEvent(new PopStateEvent('popstate'));
    if (pending === null) return this.signOut(texts.signIn.failed(texts.signIn.notBegun));
    this.isReturning = true;
    try {
      this.take(await finish(back, pending));
    } catch (error) {
      this.signOut(texts.signIn.failed(error instanceof Error ? error.message : String(error)));
    } finally {
      this.isReturning = false;
    }
  }
}

function refuse(token: string): string | null {
  if (token === '') return texts.signIn.empty;
  const claims = readClaims(token);
  if (!claims) return texts.signIn.malformed;
  if (claims.expiresAt !== undefined && claims.expiresAt <= Date.now()) return texts.signIn.expired;
  if (claims.tenant === undefined || !mayRead(claims)) return texts.signIn.forbidden;
  return null;
}

export const session = new Session();
