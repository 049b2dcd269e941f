/** Calls to the service with the bearer token. */
import { Refused, type Socket } from './live';
import type { Problem } from './protocol';

export interface Tenant {
  id: string;
  name: string;
  timezone: string;
  currency: string;
  /** `wall`, `events` or `fixed:YYYY-MM-DD`. */
  clock: string;
  /** The line of business; null for none. */
  vertical: string | null;
  modules: string[];
  branding: Record<string, unknown> | null;
  /** How its numbers and dates are written (BCP 47); a service that does not say writes British English. */
  locale?: string;
}

/** An answer other than the one asked for. */
export class CallFailed extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail ?? problem.title ?? 'the call failed');
  }
}

/** Throws `Refused` where signing in anew is the only way, `CallFailed` for every other refusal. */
export async function call(token: string, path: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(path, {
    ...init,
    headers: { ...init.headers, Authorization: `Bearer ${token}` },
    cache: 'no-store',
    signal: init.signal ?? AbortSignal.timeout(60_000),
  });
  if (response.ok) return response;
  const problem = await readProblem(response);
  if (response.status === 401) {
    throw new Refused(/expired/i.test(problem.detail ?? '') ? 'expired' : 'refused');
  }
  if (response.status === 403) {
    throw new Refused(problem.type?.endsWith(':unknown-tenant') ? 'refused' : 'forbidden');
  }
  throw new CallFailed(problem);
}

async function readProblem(response: Response): Promise<Problem> {
  const bare = { status: response.status, title: response.statusText };
  if (!response.headers.get('content-type')?.includes('json')) return bare;
  try {
    return { ...bare, ...((await response.json()) as Problem) };
  } catch {
    // A problem cut off on the way: its status still says what kind it is.
    return bare;
  }
}

export async function readTenant(token: string): Promise<Tenant> {
  return (await call(token, '/v1/tenant')).json() as Promise<Tenant>;
}

/** The date all figures are stated for, or null while nothing says what day it is. */
export async function readAsOf(token: string): Promise<string | null> {
  const answer = (await (await call(token, '/v1/views')).json()) as { as_of?: string | null };
  return answer.as_of ?? null;
}

/** All rows of a view as a CSV file. */
export async function readCsv(token: string, view: string): Promise<Blob> {
  const path = `/v1/views/${encodeURIComponent(view)}`;
  return (await call(token, path, { headers: { Accept: 'text/csv' } })).blob();
}

/**
 * Whether the caller may ask in SQL and make reports, as the service decides it. The list of event
 * types is for the same roles and costs nothing.
 */
export async function readMayAnalyse(token: string): Promise<boolean> {
  try {
    await call(token, '/v1/event-types', { method: 'HEAD' });
    return true;
  } catch (error) {
    if (error instanceof Refused && error.refusal === 'forbidden') return false;
    throw error;
  }
}

/** A live connection, let in by a one-use ticket since browsers cannot send headers there. */
export async function connectLive(token: string): Promise<Socket> {
  const init = { method: 'POST', signal: AbortSignal.timeout(8_000) };
  const { ticket } = (await (await call(token, '/v1/tickets', init)).json()) as { ticket: string };
  const address = new URL('/v1/ws', location.href);
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
  address.searchParams.set('ticket', ticket);
  return new WebSocket(address) as Socket;
}
