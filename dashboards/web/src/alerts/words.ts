/** What the alerts say. */
import { units } from '../lib/units';
import type { Severity } from './api';

export const words = {
  title: 'Alerts',
  bell: (count: number) => (count === 0 ? 'Alerts: none is open' : `Alerts: ${count} open`),
  loading: 'Loading alerts…',
  none: 'Nothing needs your attention.',
  open: (listed: number, open: number) => (open > listed ? `The newest ${listed} of ${open}` : `${open} open`),
  severity: { info: 'Note', warning: 'Warning', critical: 'Critical' } satisfies Record<Severity, string>,
  since: (age: string) => (age === units.now ? 'just now' : `${age} ago`),
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
  yes: 'yes', no: 'no',
  /** Columns of the views that alerts are made of and the overview has no rows of. */
  columns: {
    budget: 'Budget', spent: 'Spent', variance: 'Variance', used: 'Used', exceeded: 'Exceeded',
    check_id: 'Check', rule: 'Rule', failed_at: 'Failed',
    property_id: 'Property', priority: 'Priority', open: 'Open', oldest_days: 'Days open at most',
    payment_id: 'Payment', reason: 'Reason', received: 'Received', paid_out: 'Paid out', net: 'Net',
    employee_id: 'Person', week: 'Week', capacity: 'Capacity', utilization: 'Utilization',
    disposition: 'Outcome', day: 'Day', calls: 'Calls', talk_seconds: 'Seconds talked',
    overdue: 'Overdue', invoices: 'Invoices',
  } as Record<string, string>,
};
