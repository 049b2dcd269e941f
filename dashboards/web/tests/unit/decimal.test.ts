import { describe, expect, it } from 'vitest';
import { compare, parseDecimal, round, share, toNumber } from '../../src/lib/decimal';

describe('reading', () => {
  it('reads plain decimals into ten-thousandths', () => {
    expect(parseDecimal('0')).toBe(0n);
    expect(parseDecimal('1.5')).toBe(15_000n);
    expect(parseDecimal('-0.0001')).toBe(-1n);
    expect(parseDecimal('+12')).toBe(120_000n);
    expect(parseDecimal('1.500000')).toBe(15_000n);
  });

  it('holds the largest amount there is, exactly', () => {
    const text = '9'.repeat(34);
    expect(parseDecimal(`${text}.9999`)).toBe(BigInt(`${text}9999`));
  });

  it.each(['', '1e5', 'NaN', '1.', '.5', '1,000', ' 1', '0x10', '1.00005'])('refuses %j', (text) => {
    expect(() => parseDecimal(text)).toThrow(RangeError);
  });
});

describe('arithmetic', () => {
  it('adds what floats cannot', () => {
    const dimes = Array.from({ length: 10 }, () => parseDecimal('0.1'));
    expect(dimes.reduce((a, b) => a + b, 0n)).toBe(parseDecimal('1'));
    expect(0.1 + 0.2).not.toBe(0.3);
    expect(parseDecimal('0.1') + parseDecimal('0.2')).toBe(parseDecimal('0.3'));
  });

  it('rounds half away from zero', () => {
    expect(round(parseDecimal('1.005'), 2)).toBe(parseDecimal('1.01'));
    expect(round(parseDecimal('-1.005'), 2)).toBe(parseDecimal('-1.01'));
    expect(round(parseDecimal('-1.0049'), 2)).toBe(parseDecimal('-1.00'));
    expect(round(parseDecimal('0.5'), 0)).toBe(parseDecimal('1'));
  });

  it('gives shares, and none of nothing', () => {
    expect(share(parseDecimal('1'), parseDecimal('3'))).toBe(3333n);
    expect(share(parseDecimal('-1'), parseDecimal('3'))).toBe(-3333n);
    expect(share(parseDecimal('1'), parseDecimal('-2'))).toBe(-5000n);
    expect(share(5n, 0n)).toBeNull();
  });

  it('orders and approximates', () => {
    expect([3n, -1n, 2n].sort(compare)).toEqual([-1n, 2n, 3n]);
    expect(toNumber(parseDecimal('-12.25'))).toBe(-12.25);
  });
});
