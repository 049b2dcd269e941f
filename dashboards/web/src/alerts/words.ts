/** Every English sentence of the alerts. */
import { columnLabel } from '../lib/tables';
import type { Severity } from './api';

export const words = {
  title: 'Alerts',
  bell: (count: number) => (count === 0 ? 'Alerts: none is open' : `Alerts: ${count} open`),
  loading: 'Loading alerts…',
  none: 'Nothing needs your attention.',
  open: (listed: number, open: number) => (open > listed ? `The newest ${listed} of ${open}` : `${open} open`),
  severity: { info: 'Note', warning: 'Warning', critical: 'Critical' } satisfies Record<Severity, string>,
  since: (age: string) => (age === 'now' ? 'just now' : `${age} ago`),
  acknowledge: 'Acknowledge',
  acknowledged: (by: string) => `Seen by ${by}`,
  snooze: 'Snooze',
  snoozeFor: 'Snooze for',
  spans: [
    { hours: 1, name: '1 hour' },
    { hours: 24, name: '1 day' },
    { hours: 24 * 7, name: '1 week' },
  ],
  snoozed: (until: string) => `Snoozed until ${until}`,
  wake: 'Wake',
  show: 'Show',
  dismiss: 'Dismiss',
};

/** The columns of a row in words: `Project P1 · Currency EUR`. */
export function inWords(row: Record<string, unknown>): string {
  return Object.entries(row)
    .map(([column, value]) => `${columnLabel(column)} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' · ');
}
