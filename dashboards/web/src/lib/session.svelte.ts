/** Who is signed in. */
import { IssuedSession } from './issued_session.svelte';
import { front } from './issuer';
import { mayRead, readClaims } from './token';
import { texts } from './texts';

function refuse(token: string): string | null {
  if (token === '') return texts.signIn.empty;
  const claims = readClaims(token);
  if (!claims) return texts.signIn.malformed;
  if (claims.expiresAt !== undefined && claims.expiresAt <= Date.now()) return texts.signIn.expired;
  if (claims.tenant === undefined || !mayRead(claims)) return texts.signIn.forbidden;
  return null;
}

export const session = new IssuedSession({
  place: 'tidemark.token', refuse, expired: texts.signIn.expired, door: front,
});
