/** A sign-in by a token that an issuer gives, or that is pasted. */
import { finish, returned, takePending, type Door, type Returned } from './issuer';
import { issuing } from './issuer_words';
import { TabSession, type Kind } from './tab_session.svelte';

/** What sign-ins of one kind have in common where there may be an issuer. */
export interface IssuedKind extends Kind {
  door: Door;
}

export class IssuedSession extends TabSession {
  /** Whether the issuer's code is being exchanged for a token. */
  isReturning = $state(false);
  readonly #kind: IssuedKind;

  constructor(kind: IssuedKind) {
    super(kind);
    this.#kind = kind;
    const back = returned(location.search);
    if (back !== null) void this.#comeBack(back);
  }

  /** The browser comes back from the issuer: to where it was, and signed in if it may be. */
  async #comeBack(back: Returned): Promise<void> {
    const { door } = this.#kind;
    const pending = takePending(door);
    history.replaceState(null, '', pending?.place ?? door.path);
    dispatchEvent(new PopStateEvent('popstate'));
    if (pending === null) return this.signOut(issuing.failed(issuing.notBegun));
    this.isReturning = true;
    try {
      this.take(await finish(back, pending, door));
    } catch (error) {
      this.signOut(issuing.failed(error instanceof Error ? error.message : String(error)));
    } finally {
      this.isReturning = false;
    }
  }
}
