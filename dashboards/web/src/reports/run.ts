/** Runs of reports as the service tells of them. */
import type { Format, Target, Value } from './report';

export type RunState = 'queued' | 'running' | 'done' | 'failed' | 'missed' | 'cancelled' | 'expired';

export interface Delivery {
  to: Target | null;
  state: 'waiting' | 'done' | 'failed';
  attempts: number;
  finished_at: string | null;
  error: string | null;
}

export interface Run {
  run_id: string;
  report_id: string;
  state: RunState;
  due_at: string | null;
  requested_by: string | null;
  owner: string | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  attempts: number;
  error: string | null;
  /** So far, while it runs. */
  rows: number | null;
  position?: string;
  as_of?: string;
  params?: Value[];
  format?: Format;
  file?: string;
  bytes?: number;
  sha256?: string;
  expires_at?: string | null;
  download?: string;
  deliveries: Delivery[];
}

export const isActive = (run: Run): boolean => run.state === 'queued' || run.state === 'running';

/** Whether something of it is still to change soon. A delivery that waits for its hour is not. */
export const isMoving = (run: Run): boolean =>
  isActive(run) || run.deliveries.some(({ state, attempts }) => state === 'waiting' && attempts < 3);

/** What is known of older runs, with the newest page in its place. */
export function merged(known: readonly Run[], page: readonly Run[]): Run[] {
  const fresh = new Set(page.map(({ run_id }) => run_id));
  const last = page.at(-1);
  const from = last ? known.findIndex(({ run_id }) => run_id === last.run_id) : -1;
  // Without a run in common there may be a gap between them: what is older is read again when asked for.
  const older = from < 0 ? [] : known.slice(from + 1).filter(({ run_id }) => !fresh.has(run_id));
  return [...page, ...older];
}
