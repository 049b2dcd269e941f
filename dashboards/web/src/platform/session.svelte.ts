/** Which operator is signed in. */
import { IssuedSession } from '../lib/issued_session.svelte';
import type { Door } from '../lib/issuer';
import { readClaims } from '../lib/token';
import { words } from './words';

/** The operators' own: nothing of it is kept where that of a tenant's people is. */
export const door: Door = { account: 'platform', place: 'tidemark.platform.sign-in', path: '/platform' };

export function refuse(token: string): string | null {
  if (token === '') return words.signIn.empty;
  const claims = readClaims(token);
  if (!claims) return words.signIn.malformed;
  if (claims.expiresAt !== undefined && claims.expiresAt <= Date.now()) return words.signIn.expired;
  if (claims.tenant !== undefined || !claims.roles.includes('platform')) return words.signIn.forbidden;
  return null;
}

export const session = new IssuedSession({
  place: 'tidemark.platform.token', refuse, expired: words.signIn.expired, door,
});
