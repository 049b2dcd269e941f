/** Which operator is signed in. */
import { TabSession } from '../lib/tab_session.svelte';
import { readClaims } from '../lib/token';
import { words } from './words';

export function refuse(token: string): string | null {
  if (token === '') return words.signIn.empty;
  const claims = readClaims(token);
  if (!claims) return words.signIn.malformed;
  if (claims.expiresAt !== undefined && claims.expiresAt <= Date.now()) return words.signIn.expired;
  if (claims.tenant !== undefined || !claims.roles.includes('platform')) return words.signIn.forbidden;
  return null;
}

export const session = new TabSession({
  place: 'tidemark.platform.token', refuse, expired: words.signIn.expired,
});
