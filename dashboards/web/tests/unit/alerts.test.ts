import { describe, expect, it } from 'vitest';
import type { Alert } from '../../src/alerts/api';
import { inWords } from '../../src/alerts/values';

type Part = Record<string, unknown>;

function alert(types: Record<string, string>, subject: Part, details: Part = {}): Alert {
  return {
    id: 'a', rule: 'r', title: 'Too much', severity: 'warning', subject, details,
    columns: Object.entries(types).map(([name, type]) => ({ name, type })),
    fired_at: '2026-03-31T10:00:00Z', acknowledged: null, snoozed_until: null,
  };
}

const says = (one: Alert, part: 'subject' | 'details' = 'subject') => inWords(one, part, 'Europe/Berlin');

describe('the words of an alert', () => {
  it('have amounts with their currency, in the order of the columns', () => {
    const types = { project_id: 'text', currency: 'text', budget: 'decimal', spent: 'decimal', used: 'decimal', exceeded: 'bool' };
    const budget = alert(
      types, { currency: 'EUR', project_id: 'P1' },
      { exceeded: true, spent: '16000.1250', budget: '16000.0000', used: '1.0001' },
    );
    expect(says(budget)).toBe('Project P1 · Currency EUR');
    expect(says(budget, 'details')).toBe('Budget 16,000.00 EUR · Spent 16,000.125 EUR · Used 100.01% · Exceeded yes');
  });

  it('have no currency where there is none, or where it is no amount', () => {
    const types = { owed: 'decimal', on_hand: 'decimal', share: 'decimal' };
    const row = { owed: '-12000.5000', on_hand: '5.0000', share: '0.33333333' };
    expect(says(alert(types, row))).toBe('owed −12,000.5 · On hand 5 · share 0.3333');
    expect(says(alert(types, row, { currency: 'EUR' }))).toBe('owed −12,000.50 EUR · On hand 5 · share 0.3333');
    const utilization = alert({ hours: 'decimal', utilization: 'decimal' }, { hours: '38.5000', utilization: '0.9625', currency: 'EUR' });
    expect(says(utilization)).toContain('Hours 38.5 · Utilization 96.25%');
  });

  it('have days and moments of the firm, and counts', () => {
    const types = { due_date: 'date', failed_at: 'timestamp', days_beyond: 'int' };
    const row = { due_date: '2025-06-01', failed_at: '2025-06-30T22:05:00.123Z', days_beyond: 1200 };
    expect(says(alert(types, row))).toBe('Due 1 Jun 2025 · Failed 1 Jul 2025, 00:05 · days beyond 1,200');
  });

  it('leave text as it is, and out what is not known', () => {
    const types = { customer_id: 'text', lease_id: 'text', bucket: 'text', margin: 'decimal' };
    const row = { customer_id: '0012.5000', lease_id: '2026-01-01', bucket: 'd61_90', margin: null };
    expect(says(alert(types, row))).toBe('Customer 0012.5000 · lease 2026-01-01 · Age 61–90 days');
  });

  it('are its bare values where their types were not kept', () => {
    expect(says(alert({}, { project_id: 'P1', spent: '120.5000', currency: 'EUR' })))
      .toBe('Project P1 · Spent 120.5000 · Currency EUR');
  });
});
