/** The calls of the service for alerts. */
import { call } from '../lib/api';
import type { Column } from '../lib/protocol';

export type Severity = 'info' | 'warning' | 'critical';

export interface Alert {
  id: string;
  rule: string;
  title: string;
  severity: Severity;
  /** The columns by which it is told from others of its rule. */
  subject: Record<string, unknown>;
  /** The other columns as they were when it fired. */
  details: Record<string, unknown>;
  /** The columns of both with their types, in order; empty where they were not kept. */
  columns: readonly Column[];
  fired_at: string;
  acknowledged: { by: string; at: string } | null;
  snoozed_until: string | null;
}

/** As many as are listed at once. */
const MOST = 500;

/** The alerts that are open, the newest first, and how many there are in all. */
export async function readAlerts(token: string): Promise<{ alerts: Alert[]; open: number }> {
  const answer = await call(token, `/v1/alerts?limit=${MOST}`);
  return answer.json() as Promise<{ alerts: Alert[]; open: number }>;
}

export async function acknowledge(token: string, alert: Alert): Promise<void> {
  await call(token, `/v1/alerts/${encodeURIComponent(alert.id)}/acknowledge`, { method: 'POST' });
}

/** Until then nobody is told of it; null: again from now on. */
export async function snooze(token: string, alert: Alert, until: Date | null): Promise<void> {
  await call(token, `/v1/alerts/${encodeURIComponent(alert.id)}/snooze`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ until: until?.toISOString() ?? null }),
  });
}
