/** The calls of the service for the events behind a figure. */
import { call } from '../lib/api';
import type { Why } from '../lib/place';
import type { Explanation } from './explanation';

/** Where the events are; JSON comes in parts, other formats have all of them. */
export function eventsPath(view: string, why: Why, limit?: number): string {
  const asked = new URLSearchParams({ key: JSON.stringify(why.key), column: why.column });
  if (limit !== undefined) asked.set('limit', String(limit));
  return `/v1/views/${encodeURIComponent(view)}/explain?${asked}`;
}

/** A figure and the earliest `limit` events behind it, all at one position. */
export async function readExplanation(token: string, view: string, why: Why, limit: number): Promise<Explanation> {
  return (await call(token, eventsPath(view, why, limit))).json() as Promise<Explanation>;
}
