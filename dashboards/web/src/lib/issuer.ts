/**
 * Signing in by an issuer: authorization code with PKCE (RFC 7636). The page sends the browser there
 * and takes the code back; the service gives the code to the issuer, so the page speaks with nobody
 * else.
 */
import { issuing } from './issuer_words';

/** A page with accounts of its own, as whose client it asks the issuer. */
export interface Door {
  /** Whose accounts they are, as the service calls them. */
  account: 'tenant' | 'platform';
  /** Where what belongs to a sign-in under way is kept, in this tab. */
  place: string;
  /** The path of the page, to which the browser comes back. */
  path: string;
}

/** That of a tenant's people. */
export const front: Door = { account: 'tenant', place: 'tidemark.sign-in', path: '/' };

/** With whom the page signs in, as the service says. */
export interface Issuer {
  issuer: string;
  authorization_endpoint: string;
  client_id: string;
  scope: string;
}

/** What the browser must come back with, and where it was. */
export interface Pending {
  state: string;
  verifier: string;
  /** Path, search and fragment of the page. */
  place: string;
}

/** What stands in the address of a browser that comes back. */
export type Returned = { code: string; state: string } | { error: string; state: string };

/** A sign-in that came to nothing, with a sentence for the user. */
export class SignInFailed extends Error {}

/** The issuer to sign in with; null when tokens are pasted. */
export async function readIssuer(door = front): Promise<Issuer | null> {
  const answer = await ask('/v1/sign-in', {});
  const { oidc, platform } = (await answer.json()) as { oidc: Issuer | null; platform?: Issuer | null };
  return door.account === 'platform' ? (platform ?? null) : oidc;
}

/** The address of the page as it must be registered with the issuer. */
const here = (door: Door): string => `${location.origin}${door.path}`;

/** Leaves for the issuer. */
export async function leave(issuer: Issuer, door = front): Promise<void> {
  const pending: Pending = {
    state: random(), verifier: random(), place: location.pathname + location.search + location.hash,
  };
  const address = await request(issuer, pending, here(door));
  sessionStorage.setItem(door.place, JSON.stringify(pending));
  location.assign(address);
}

/** The address at which the issuer is asked for a code. */
export async function request(issuer: Issuer, pending: Pending, back: string): Promise<string> {
  const address = new URL(issuer.authorization_endpoint);
  const fields = {
    response_type: 'code',
    client_id: issuer.client_id,
    redirect_uri: back,
    scope: issuer.scope,
    state: pending.state,
    code_challenge: await challenge(pending.verifier),
    code_challenge_method: 'S256',
  };
  for (const [name, value] of Object.entries(fields)) address.searchParams.set(name, value);
  return address.href;
}

/** The hash of a verifier, by which the issuer knows it again. */
export async function challenge(verifier: string): Promise<string> {
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
  return base64url(new Uint8Array(hash));
}

/** What an address says of a sign-in; null if it says nothing. */
export function returned(search: string): Returned | null {
  const fields = new URLSearchParams(search);
  const [state, code, error] = ['state', 'code', 'error'].map((name) => fields.get(name));
  if (!state) return null;
  if (code) return { code, state };
  return error ? { error, state } : null;
}

/** The sign-in that this tab has begun, once: what is taken cannot be taken again. */
export function takePending(door = front): Pending | null {
  const text = sessionStorage.getItem(door.place);
  sessionStorage.removeItem(door.place);
  return text === null ? null : (JSON.parse(text) as Pending);
}

/** The token for what the browser came back with. */
export async function finish(back: Returned, pending: Pending, door = front): Promise<string> {
  if (back.state !== pending.state) throw new SignInFailed(issuing.notBegun);
  if ('error' in back) throw new SignInFailed(issuing.issuerSays(back.error));
  const answer = await ask('/v1/sign-in', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({
      code: back.code, code_verifier: pending.verifier, redirect_uri: here(door), account: door.account,
    }),
  });
  return ((await answer.json()) as { token: string }).token;
}

async function ask(path: string, init: RequestInit): Promise<Response> {
  const signal = AbortSignal.timeout(20_000);
  const answer = await fetch(path, { ...init, cache: 'no-store', signal });
  if (answer.ok) return answer;
  const problem = (await answer.json().catch(() => ({}))) as { detail?: string };
  throw new SignInFailed(problem.detail ?? issuing.serviceAnswers(answer.status));
}

/** 256 random bits. */
const random = (): string => base64url(crypto.getRandomValues(new Uint8Array(32)));

function base64url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
