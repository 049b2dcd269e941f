import { afterEach, describe, expect, it } from 'vitest';
import { parseDecimal } from '../../src/lib/decimal';
import {
  age, amount, compact, count, day, exact, figure, figureParts, hours, isLarge, moment, money, percent, quantity, todayIn,
} from '../../src/lib/format';
import { listColumns, rowText, totalText } from '../../src/lib/listing';
import { isLocale, locale, sampleIn } from '../../src/lib/locale.svelte';
import { cellText, columnLabel, exactOf, kindOf, sortKey, tableAt, viewTitle } from '../../src/lib/tables';
import { beginningOf, knownZone } from '../../src/lib/zone';

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

  it('are large from ten millions on, either way', () => {
    expect([of('9999999.9999'), of('-9999999.9999'), of('0')].map(isLarge)).toEqual([false, false, false]);
    expect([of('10000000'), of('-10000000')].map(isLarge)).toEqual([true, true]);
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

  it('have the places of their currency, and all of them where none is known', () => {
    expect([amount(of('1.234'), 'KWD'), amount(of('1000'), 'JPY'), amount(of('2.345'), 'EUR')]).toEqual(['1.234', '1,000', '2.35']);
    expect([amount(of('0.0042'), null), amount(of('12.5'), undefined), amount(of('7'), 'euros')]).toEqual(['0.0042', '12.50', '7.00']);
    expect([hours(of('0.25')), hours(of('8')), hours(of('7.3333'))]).toEqual(['0.25', '8.0', '7.33']);
    expect([exact('-1234.567890'), exact('5', 2), exact('-0.0'), exact('soon')]).toEqual(['\u22121,234.56789', '5.00', '0', 'soon']);
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
    // A zone that the browser does not know is no reason to show nothing.
    expect([todayIn('Nowhere/Land', at), knownZone('Nowhere/Land')]).toEqual(['2026-11-21', 'UTC']);
  });

  it('knows when a day begins', () => {
    const days: [string, string, string][] = [
      ['UTC', '2026-03-31', '2026-03-31T00:00:00Z'], ['Europe/London', '2026-03-30', '2026-03-29T23:00:00Z'],
      ['Europe/London', '2026-10-25', '2026-10-24T23:00:00Z'], ['Pacific/Auckland', '2026-01-01', '2025-12-31T11:00:00Z'],
      // Clocks put forward, and back, at midnight itself.
      ['America/Sao_Paulo', '2018-11-04', '2018-11-04T03:00:00Z'], ['America/Sao_Paulo', '2019-02-17', '2019-02-17T03:00:00Z'],
    ];
    for (const [zone, date, begins] of days) expect(beginningOf(date, zone), `${zone} ${date}`).toBe(begins);
    expect(beginningOf('soon', 'UTC')).toBe('soon');
  });

  it.each([[0, 'now'], [4200, '4 s'], [125_000, '2 min'], [7.2e6, '2 h'], [9e7, '1 day'], [1.8e8, '2 days']])(
    '%d ms is %s', (milliseconds, text) => {
      expect(age(milliseconds)).toBe(text);
    },
  );
});

describe('a locale', () => {
  afterEach(() => locale.take(undefined));

  it('groups digits and marks places, and loses none', () => {
    locale.take('de-DE');
    expect([money(of('1234567.8')), count(-1234), compact(of('1284930.42'))]).toEqual(['1.234.567,80', '\u22121.234', '1,28m']);
    expect(figureParts(of('-0.5'), { places: 2 })).toEqual({ sign: '\u2212', whole: '0', fraction: ',50' });
    expect(percent(of('0.516'), 1)).toBe('51,6\u00a0%');
    expect(exact('99999999999999999999999999999999.0001')).toBe('99.999.999.999.999.999.999.999.999.999.999,0001');
    expect(day('2026-01-31')).toMatch(/^31\. Jan/);
    locale.take('en-IN');
    expect(money(of('1234567.8'))).toBe('12,34,567.80');
    expect(sampleIn('en-US')).toBe('1,234,567.89, Jan 31, 2026');
  });

  it('is British English where there is none, or none that the browser knows', () => {
    for (const none of [undefined, null, '', 'not a locale', 'x']) {
      locale.take(none);
      expect([locale.tag, day('2026-01-31'), money(of('1234.5'))], String(none)).toEqual(['en-GB', '31 Jan 2026', '1,234.50']);
    }
    expect([isLocale('de-CH'), isLocale('de_CH'), isLocale('')]).toEqual([true, false, false]);
  });
});

describe('columns', () => {
  it('read by their names only where they are numbers', () => {
    expect(kindOf({ name: 'used', type: 'decimal' })).toBe('percent');
    expect(kindOf({ name: 'used', type: 'bool' })).toBe('flag');
    expect(kindOf({ name: 'hours', type: 'text' })).toBe('text');
    expect(kindOf({ name: 'quantity', type: 'decimal' })).toBe('quantity');
    expect([cellText(true, kindOf({ name: 'used', type: 'bool' })), cellText('many', 'money')]).toEqual(['Yes', 'many']);
    expect(sortKey('many', 'money')).toBeNull();
  });

  it('may have any name', () => {
    for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
      expect(kindOf({ name, type: 'decimal' }), name).toBe('money');
      expect(columnLabel(name), name).toBe(name.replaceAll('_', ' '));
      expect(typeof viewTitle(name), name).toBe('string');
      expect(tableAt(name), name).toBeUndefined();
      expect(cellText(name, 'bucket')).toBe(name);
    }
    expect(tableAt('customers')?.view).toBe('ar_aging');
  });

  it('of instants are on the firm’s clock', () => {
    const columns = [{ name: 'seen_at', type: 'timestamp' }, { name: 'currency', type: 'text' }, { name: 'total', type: 'decimal' }];
    const [seen, , total] = listColumns(columns);
    if (!seen || !total) throw new Error('no columns');
    const row = ['2026-03-01T23:30:00Z', 'KWD', '1.2340'];
    expect(rowText(row, seen, { timezone: 'Europe/Berlin' })).toBe('2 Mar 2026, 00:30');
    expect(cellText(row[0], 'moment')).toBe('1 Mar 2026, 23:30 UTC');
    expect(rowText(row, total, { timezone: 'UTC', currency: 'EUR' })).toBe('1.234');
    expect(totalText(of('1000'), total, 'JPY')).toBe('1,000');
  });

  it('say all places beside a text that leaves some out', () => {
    expect([exactOf('1.2345', 'money', { currency: 'EUR' }), exactOf('1.2300', 'money', { currency: 'EUR' })]).toEqual(['1.2345', undefined]);
    expect([exactOf('0.81253', 'percent'), exactOf('0.8130', 'percent')]).toEqual(['81.25%', undefined]);
    expect([exactOf('7.33333', 'hours'), exactOf('C1', 'text'), exactOf(null, 'money'), exactOf(12, 'count')]).toEqual([
      '7.33333', undefined, undefined, undefined,
    ]);
  });
});
