import { describe, expect, it } from 'vitest';
import { cronWords, instantIn } from '../../src/reports/cron';
import {
  definitionOf, emptyForm, fittedParams, formFrom, formOf, runValues, valueOf, type Report,
} from '../../src/reports/report';
import { isMoving, merged, type Run } from '../../src/reports/run';

describe('cron in words', () => {
  it.each([
    ['0 7 * * MON', 'every Monday at 07:00'],
    ['30 6 * * 1-5', 'every Monday to Friday at 06:30'],
    ['0 7,19 * * *', 'every day at 07:00 and 19:00'],
    ['0 18 L * *', 'on the last day of every month at 18:00'],
    ['15 0 1,15 JAN,jul *', 'on day 1 and 15 of January and July at 00:15'],
    ['*/15 * * * *', 'every 15 minutes'],
    ['5 */2 * * SAT,7', 'every Saturday and Sunday every 2 hours at :05'],
    ['0 * * * *', 'every hour at :00'],
    ['0 9-17 * * MON-FRI', 'every Monday to Friday every hour at 09:00 to 17:00'],
    ['* * * * *', 'every minute'],
  ])('%s', (cron, words) => {
    expect(cronWords(cron)).toBe(words);
  });

  it.each(['', '0 7 * *', '0 7 * * * *', '60 7 * * *', '0 24 * * *', '0 7 1 * MON', '0 7 * * MON#2', '0 7 LW * *', '0 7 * 13 *', '0 7 */2 * *', 'a b c d e'])(
    'says nothing of %j', (cron) => {
      expect(cronWords(cron)).toBeNull();
    },
  );

  it('shows instants on the clock of a zone', () => {
    expect(instantIn('2026-11-23T06:00:00Z', 'Europe/Berlin')).toBe('Mon, 23 Nov 2026, 07:00');
    expect(instantIn('2026-11-23T06:00:00Z', 'Mars/Base')).toBe('2026-11-23T06:00:00Z');
    expect(instantIn('soon', 'UTC')).toBe('soon');
  });
});

describe('the form of a report', () => {
  const report: Report = {
    id: 'r1', version: 3, owner: 'jo', created_at: '', changed_at: '', next_run_at: null,
    name: 'Overdue', sql: 'SELECT $1, $2', params: [{ name: 'days', type: 'int', default: 30 }, { name: 'to', type: 'date' }],
    format: 'csv', raw: true, as_of: '{{last_month.end}}', fiscal_year_starts: 4,
    schedule: { cron: '0 7 * * MON', timezone: 'Europe/Berlin', catch_up: 'all' }, keep_days: 90,
    deliver: [
      { kind: 'email', to: ['a@x.example', 'b@x.example'], subject: null, role: 'analyst' },
      { kind: 'webhook', url: 'https://x.example/' }, { kind: 's3', path: 'a/{{today}}.csv' },
    ],
  };

  it('gives back what was read', () => {
    const { id, version, owner, created_at, changed_at, next_run_at, ...definition } = report;
    void [id, version, owner, created_at, changed_at, next_run_at];
    const email = { kind: 'email', to: ['a@x.example', 'b@x.example'], role: 'analyst' };
    expect(definitionOf(formFrom(report, 'UTC'))).toEqual({ ...definition, deliver: [email, ...report.deliver.slice(1)] });
  });

  it('leaves out what a view, a form without a schedule and Excel do not have', () => {
    const form = { ...formFrom(report, 'UTC'), source: 'view' as const, view: 'ar_aging', isScheduled: false, format: 'xlsx' as const };
    const definition = definitionOf(form);
    expect(definition).toMatchObject({ view: 'ar_aging', params: [], raw: false });
    expect(Object.keys(definition)).not.toContain('sql');
    expect(Object.keys(definition)).not.toContain('schedule');
  });

  it('takes a query from the editor, its values as defaults', () => {
    const params = ['30', '12.5', '2026-01-31', 'x'].map((text) => ({ kind: 'auto' as const, text }));
    const form = formOf({ sql: 'SELECT $1', params: [...params, { kind: 'null', text: 'old' }, { kind: 'bool', text: 'true' }] }, 'UTC');
    expect(form.params.map(({ type, text }) => [type, text])).toEqual([
      ['int', '30'], ['decimal', '12.5'], ['date', '2026-01-31'], ['text', 'x'], ['text', ''], ['bool', 'true'],
    ]);
    expect(form.timezone).toBe('UTC');
  });

  it('has as many parameters as its SQL', () => {
    const [first] = formFrom(report, 'UTC').params;
    if (!first) throw new Error('no parameter');
    expect(fittedParams([first], 'SELECT $2')).toEqual([first, { name: 'p2', type: 'text', text: '' }]);
    expect(fittedParams([first], 'SELECT 1')).toEqual([]);
  });

  it('sends values with their types, and what is not right as it was typed', () => {
    expect([valueOf('int', '30'), valueOf('int', 'x'), valueOf('int', '9007199254740993')]).toEqual([30, 'x', '9007199254740993']);
    expect([valueOf('decimal', ' 12.50 '), valueOf('bool', 'true'), valueOf('text', ' a ')]).toEqual(['12.50', true, ' a ']);
    expect(runValues(report.params, ['', '2026-01-31'])).toEqual({ to: '2026-01-31' });
    expect(definitionOf(emptyForm('UTC')).deliver).toEqual([]);
  });
});

describe('runs', () => {
  const run = (id: string, state: Run['state'] = 'done', over: Partial<Run> = {}): Run => ({
    run_id: id, report_id: 'r', state, due_at: null, requested_by: null, owner: 'jo', created_at: '', started_at: null,
    finished_at: null, attempts: 1, error: null, rows: null, deliveries: [], ...over,
  });
  const ids = (runs: readonly Run[]) => runs.map(({ run_id }) => run_id);

  it('are known with the newest page in its place', () => {
    const known = [run('c', 'running'), run('b'), run('a')];
    const page = [run('d', 'queued'), run('c'), run('b')];
    expect(ids(merged(known, page))).toEqual(['d', 'c', 'b', 'a']);
    expect(merged(known, page)[1]?.state).toBe('done');
    // Without one in common nobody knows what stands between them.
    expect(ids(merged(known, [run('z'), run('y')]))).toEqual(['z', 'y']);
    expect(ids(merged([], [run('z')]))).toEqual(['z']);
  });

  it('move while they are made or delivered', () => {
    const waiting = { to: null, state: 'waiting' as const, attempts: 1, finished_at: null, error: null };
    expect(isMoving(run('a', 'queued'))).toBe(true);
    expect(isMoving(run('a'))).toBe(false);
    expect(isMoving(run('a', 'done', { deliveries: [waiting] }))).toBe(true);
    expect(isMoving(run('a', 'done', { deliveries: [{ ...waiting, attempts: 7 }] }))).toBe(false);
  });
});
