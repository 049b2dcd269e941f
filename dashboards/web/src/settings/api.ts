/** The calls of the service for the firm's settings, its template and its fields. */
import { call, type Tenant } from '../lib/api';
import type { DeclaredField, Declaration } from './fields';
import type { Change } from './firm';
import type { Given, Settlement } from './merge';

const JSON_TYPE = { 'Content-Type': 'application/json' };

/** Changes what is named, and leaves the rest. */
export async function changeTenant(token: string, change: Change): Promise<Tenant> {
  const init = { method: 'PATCH', headers: JSON_TYPE, body: JSON.stringify(change) };
  return (await call(token, '/v1/tenant', init)).json() as Promise<Tenant>;
}

/** What the firm was given, as it was when it was read. */
export interface Read {
  given: Given;
  /** By which the service tells whether it is still so. */
  tag: string | null;
}

async function readOf(response: Response): Promise<Read> {
  return { given: (await response.json()) as Given, tag: response.headers.get('etag') };
}

/** Null for a firm that was given no template. */
export async function readTemplate(token: string): Promise<Read | null> {
  const response = await call(token, '/v1/tenant/template');
  return response.status === 204 ? null : readOf(response);
}

/** Takes over the version that was read, unless something was changed since. All of it, or nothing. */
export async function takeOver(token: string, { given, tag }: Read, settle: Settlement): Promise<Read> {
  const headers: Record<string, string> = { ...JSON_TYPE };
  if (tag !== null) headers['If-Match'] = tag;
  const body = JSON.stringify({ version: given.newest, settle });
  return readOf(await call(token, '/v1/tenant/template/update', { method: 'POST', headers, body }));
}

/** What is declared beside the fields of event types. */
export async function readFields(token: string): Promise<DeclaredField[]> {
  const answer = (await (await call(token, '/v1/tenant/fields')).json()) as { fields: DeclaredField[] };
  return answer.fields;
}

/** The names of the event types that the firm has. */
export async function readEventTypes(token: string): Promise<string[]> {
  const answer = (await (await call(token, '/v1/event-types')).json()) as { event_types: { type: string }[] };
  return answer.event_types.map(({ type }) => type);
}

const pathOf = (on: string, name: string): string => `/v1/tenant/fields/${encodeURIComponent(on)}/${encodeURIComponent(name)}`;

/** Declares a field, or declares it otherwise. */
export async function declareField(token: string, on: string, name: string, field: Declaration): Promise<DeclaredField> {
  const init = { method: 'PUT', headers: JSON_TYPE, body: JSON.stringify(field) };
  return (await call(token, pathOf(on, name), init)).json() as Promise<DeclaredField>;
}

export async function removeField(token: string, on: string, name: string): Promise<void> {
  await call(token, pathOf(on, name), { method: 'DELETE' });
}
