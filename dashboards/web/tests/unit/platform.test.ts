import { describe, expect, it } from 'vitest';
import { bytes } from '../../src/lib/measures';
import { filtered, rate, sorted, type Line } from '../../src/platform/overview';

function line(id: string, over: Partial<Line> = {}): Line {
  return {
    id, name: '', state: 'live', node: null, events: 0, events_per_second: 0, lag: 0, newest_event: null,
    views: 15, filling: 0, failed_views: [], dead_letters: 0, memory_bytes: 0, history_bytes: 0, ...over,
  };
}

describe('the tenants', () => {
  const lines = [
    line('b', { name: 'Harbour', events: 9, state: 'live' }),
    line('a', { events: 10, state: 'failed', failed_views: ['x', 'y'] }),
    line('c', { state: 'filling', node: '10.0.0.1:8080' }),
  ];
  const ids = (list: readonly Line[]) => list.map(({ id }) => id).join('');

  it('stand in order, what needs a person first, equal ones by id', () => {
    expect(ids(sorted(lines, { column: 'state', descending: false }))).toBe('acb');
    expect(ids(sorted(lines, { column: 'events', descending: true }))).toBe('abc');
    expect(ids(sorted(lines, { column: 'errors', descending: true }))).toBe('abc');
    expect(ids(sorted(lines, { column: 'lag', descending: true }))).toBe('abc');
    expect(ids(lines)).toBe('bac');
  });

  it('are found by every word of the filter', () => {
    expect(ids(filtered(lines, ''))).toBe('bac');
    expect(ids(filtered(lines, ' HARB live'))).toBe('b');
    expect(ids(filtered(lines, '10.0.0'))).toBe('c');
    expect(ids(filtered(lines, 'harbour failed'))).toBe('');
  });
});

describe('figures', () => {
  it('say bytes with three digits', () => {
    expect([0, 999, 1024, 12_600, 1_572_864, 3 * 2 ** 40].map(bytes)).toEqual(
      ['0 B', '999 B', '1.00 KiB', '12.3 KiB', '1.50 MiB', '3.00 TiB'],
    );
  });

  it('say rates as exactly as they are known', () => {
    expect([0, 0.004, 0.25, 12.34, 2400.4].map(rate)).toEqual(['0', '<0.01', '0.25', '12.3', '2,400']);
  });
});
