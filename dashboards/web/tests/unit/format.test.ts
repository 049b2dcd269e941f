import { describe, expect, it } from 'vitest';
import { parseDecimal } from '../../src/lib/decimal';
import {
  age, compact, count, day, figure, figureParts, moment, money, percent, quantity, todayIn,
} from '../../src/lib/format';

const of = parseDecimal;

describe('figures', () => {
  it('are grouped, with a true minus', () => {
    expect(money(of('1234567.8'))).toBe('1,234,567.80');
    expect(money(of('-0.5'))).toBe('\u22120.50');
    expect(count(-1234)).toBe('\u22121,234');
  });

  it('show every place of money that has more than cents', () => {
    expect(money(of('9115.1341'))).toBe('9,115.1341');
  });

  it('have no sign when they round to nothing', () => {
    expect(figure(of('-0.004'), { places: 2 })).toBe('0.00');
    expect(figure(of('0.004'), { places: 2, signed: true })).toBe('0.00');
    expect(figure(of('12'), { places: 2, signed: true })).toBe('+12.00');
  });

  it('come in parts', () => {
    expect(figureParts(of('-1234.5'), { places: 2 })).toEqual({ sign: '\u2212', whole: '1,234', fraction: '.50' });
    expect(figureParts(of('3'), { places: 4, trim: true })).toEqual({ sign: '', whole: '3', fraction: '' });
  });

  it('leave needless places of quantities out', () => {
    expect(quantity(of('150.0000'))).toBe('150');
    expect(quantity(of('2.5000'))).toBe('2.5');
  });
});

describe('short figures', () => {
  it.each([
    ['0', '0'], ['999.4', '999'], ['1000', '1.00k'], ['12345', '12.3k'], ['-318000', '\u2212318k'],
    ['999999', '1.00m'], ['1284930.42', '1.28m'], ['2500000000', '2.50bn'], ['3000000000000', '3.00tn'],
  ])('%s is %s', (text, short) => {
    expect(compact(of(text))).toBe(short);
  });
});

describe('shares, days and ages', () => {
  it('reads as a percentage, or a dash', () => {
    expect(percent(of('0.516'), 1)).toBe('51.6%');
    expect(percent(of('-0.554'))).toBe('\u221255%');
    expect(percent(null)).toBe('–');
  });

  it('names days and leaves alone what is none', () => {
    expect(day('2014-06-30')).toBe('30 Jun 2014');
    expect(day('soon')).toBe('soon');
  });

  it('puts moments on the clock of a zone, or says that it is another', () => {
    expect(moment('2026-03-01T23:30:00Z', 'Europe/Berlin')).toBe('2 Mar 2026, 00:30');
    expect(moment('2026-03-01T23:30:00.123456Z', 'Nowhere/Land')).toBe('1 Mar 2026, 23:30 UTC');
    expect(moment('soon', 'UTC')).toBe('soon');
  });

  it('knows the date elsewhere', () => {
    const at = Date.UTC(2026, 10, 21, 4, 0);
    expect(todayIn('America/Los_Angeles', at)).toBe('2026-11-20');
    expect(todayIn('Pacific/Auckland', at)).toBe('2026-11-21');
  });

  it.each([[0, 'now'], [4200, '4 s'], [125_000, '2 min'], [7.2e6, '2 h'], [9e7, '1 day'], [1.8e8, '2 days']])(
    '%d ms is %s', (milliseconds, text) => {
      expect(age(milliseconds)).toBe(text);
    },
  );
});
