/** What the pages for reports say. */
import { units } from '../lib/units';
import type { CatchUp, Format, ParamType, Target } from './report';
import type { Delivery, RunState } from './run';

export const words = {
  title: 'Reports',
  notAllowed: 'Reports are for analysts and admins.',
  notAllowedWay: 'Ask for a token with the role analyst to make them.',
  toOverview: 'Go to the overview',
  loading: 'Loading…',
  list: {
    make: 'New report',
    none: 'No report yet. A report is a query or a view that becomes a file: now, or by itself.',
    name: 'Name', of: 'Of', format: 'Format', schedule: 'By itself', next: 'Next', owner: 'Owner', template: 'The template',
    sql: 'SQL', noSchedule: 'when run', never: '–', unread: 'cannot be read',
    filter: 'Filter reports', noMatch: 'No report matches the filter.',
  },
  formats: { csv: 'CSV', xlsx: 'Excel (XLSX)', parquet: 'Parquet' } satisfies Record<Format, string>,
  values: { yes: 'Yes', no: 'No' },
  types: {
    text: 'Text', int: 'Whole number', decimal: 'Decimal', date: 'Date', timestamp: 'Instant', bool: 'Yes or no',
  } satisfies Record<ParamType, string>,
  catchUps: {
    last: 'make the last of them', all: 'make all of them', none: 'make none of them',
  } satisfies Record<CatchUp, string>,
  targets: { email: 'E-mail', webhook: 'Webhook', s3: 'Copy in the object store' } satisfies Record<Target['kind'], string>,
  form: {
    newTitle: 'New report', editTitle: (name: string) => `Edit ${name}`,
    name: 'Name', nameHint: 'Files are called after it.',
    source: 'What is in it', ofSql: 'A query', ofView: 'A view, whole', view: 'View',
    sql: 'SQL',
    params: 'Parameters', paramsHint: 'Values of $1, $2, … that a run can change. Defaults may have words for dates, like {{last_month.start}}.',
    paramName: (n: number) => `Name of $${n}`, paramType: (n: number) => `Type of $${n}`, paramDefault: (n: number) => `Default of $${n}`,
    noDefault: 'no default',
    format: 'Format', raw: 'Leave text as it is, without the guard against formulas',
    asOf: 'As of', asOfHint: 'The moment it is made at, like 2026-10-31, 2026-10 or {{last_month.end}}. Empty: now.',
    fiscal: 'Fiscal years begin in', keep: 'Keep files for', days: 'days',
    scheduled: 'Make it by itself',
    cron: 'When (cron)', cronHint: 'minute, hour, day of the month, month, day of the week',
    means: 'Means', meansNothing: 'The service says when it is due next once this is saved.',
    preset: 'Choose', presets: [
      { name: 'Every day at 07:00', cron: '0 7 * * *' },
      { name: 'Monday to Friday at 07:00', cron: '0 7 * * MON-FRI' },
      { name: 'Every Monday at 07:00', cron: '0 7 * * MON' },
      { name: 'First of the month at 07:00', cron: '0 7 1 * *' },
      { name: 'Last day of the month at 18:00', cron: '0 18 L * *' },
      { name: 'Every hour', cron: '0 * * * *' },
    ],
    timezone: 'Time zone', catchUp: 'Times that were missed',
    deliver: 'Deliver to', addTarget: 'Add a place', removeTarget: (n: number) => `Remove place ${n}`,
    noTargets: 'Nowhere: the file can be downloaded here.',
    kind: 'Kind', to: 'Addresses', toHint: 'with commas between them', subject: 'Subject', role: 'Sees what this role may see',
    url: 'Address', secret: 'Secret', secretHint: 'at least 16 characters; it signs each call',
    secretKept: 'kept unless another is written', path: 'Path', pathHint: 'like monthly/{{last_month}}.csv',
    save: 'Save', make: 'Make the report', cancel: 'Cancel', saving: 'Saving…',
    place: (line: number, column: number) => `Line ${line}, column ${column}`,
    changed: 'Somebody changed this report meanwhile. Yours is not saved: look at theirs, then make your changes again.',
    takeTheirs: 'Show theirs',
  },
  roles: { analyst: 'Analyst', executive: 'Executive', admin: 'Admin' } as Record<string, string>,
  months: [
    'January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October',
    'November', 'December',
  ],
  /** What the five fields of a schedule mean. */
  cron: {
    days: ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'],
    list: (first: string, last: string) => `${first} and ${last}`,
    range: (from: string, to: string) => `${from} to ${to}`,
    everyMinutes: (n: number) => (n === 1 ? 'every minute' : `every ${n} minutes`),
    everyHours: (n: number, at: string) => (n === 1 ? `every hour at ${at}` : `every ${n} hours at ${at}`),
    everyHourOf: (hours: string) => `every hour at ${hours}`,
    at: (times: string) => `at ${times}`,
    weekdays: (days: string, time: string) => `every ${days} ${time}`,
    weekdaysIn: (days: string, months: string, time: string) => `every ${days} in ${months} ${time}`,
    daily: (time: string) => `every day ${time}`,
    dailyIn: (months: string, time: string) => `every day in ${months} ${time}`,
    oftenIn: (time: string, months: string) => `${time} in ${months}`,
    everyMonth: 'every month',
    last: (months: string, time: string) => `on the last day of ${months} ${time}`,
    on: (days: string, months: string, time: string) => `on day ${days} of ${months} ${time}`,
  },
  view: {
    back: 'All reports',
    edit: 'Edit', remove: 'Delete',
    removeTitle: (name: string) => `Delete ${name}?`,
    removeText: 'Its runs and their files go with it. What was delivered stays where it is.',
    removeYes: 'Delete the report', removeNo: 'Keep it',
    query: 'Query', of: 'View', format: 'Format', schedule: 'By itself', next: 'Next', owner: 'Owner', keep: 'Files are kept for',
    asOf: 'As of', deliver: 'Delivered to',
    days: (n: number) => (n === 1 ? '1 day' : `${n} days`),
    in: (time: string, zone: string) => `${time} (${zone})`,
    noSchedule: 'Only when somebody runs it.', nowhere: 'Nowhere; download it here.',
    rights: (owner: string) => `${owner}: runs have this person’s rights`,
  },
  run: {
    title: 'Run now', button: 'Run', running: 'Asking…',
    value: (name: string) => name, default: (text: string) => `default: ${text}`, needed: 'needed',
    asOf: 'As of', asOfHint: 'now',
  },
  runs: {
    title: 'Runs', none: 'It has not been run yet.', refresh: 'Refresh', older: 'Older runs',
    unwatched: 'These runs are not followed any more: refresh to see how they do.',
    states: {
      queued: 'waits', running: 'is made', done: 'done', failed: 'failed', missed: 'missed',
      cancelled: 'cancelled', expired: 'file is gone',
    } satisfies Record<RunState, string>,
    rows: (count: string) => (count === '1' ? '1 row' : `${count} rows`),
    soFar: (count: string) => `${count} rows so far`,
    since: (age: string) => (age === units.now ? 'just begun' : `for ${age}`),
    by: (who: string) => `by ${who}`, bySchedule: 'by its schedule',
    due: (time: string) => `due ${time}`,
    attempts: (n: number) => `try ${n}`,
    asOf: (day: string) => `as of ${day}`, position: 'Position',
    download: 'Download', cancel: 'Cancel',
    cancelOf: (time: string) => `Cancel the run of ${time}`,
    cancelDownload: 'Cancel download', downloading: (name: string, done: string, all: string) => `${name}: ${done} of ${all}`,
    until: (day: string) => `kept until ${day}`,
    deliveries: {
      waiting: 'on its way', done: 'delivered', failed: 'not delivered',
    } satisfies Record<Delivery['state'], string>,
    tries: (n: number) => (n === 1 ? 'after 1 try' : `after ${n} tries`),
  },
};

/** Where a target leads, in a few words. */
export function targetText(target: Target | null): string {
  switch (target?.kind) {
    case 'email': return target.to.join(', ');
    case 'webhook': return target.url;
    case 's3': return target.path;
    case undefined: return '–';
  }
}
