import { describe, expect, it } from 'vitest';
import { span } from '../../src/charts/bars';
import { contrast, parseHex, readable } from '../../src/lib/colour';
import { filterRows, listColumns, sortRows, totals, totalText } from '../../src/lib/listing';
import { partBar, topRows } from '../../src/lib/ranking';
import { Rows } from '../../src/lib/rows';
import { inSight, topFor } from '../../src/lib/sight';
import { challenge, finish, request, returned } from '../../src/lib/issuer';
import { isOwnMachine, mayRead, readClaims, tokenInFragment } from '../../src/lib/token';
import { Trail, trailPath } from '../../src/lib/trail';

const columns = [
  { name: 'invoice_id', type: 'text' }, { name: 'currency', type: 'text' },
  { name: 'balance', type: 'decimal' }, { name: 'due_date', type: 'date' },
];

function invoices(...list: [string, string, string | null, string][]): Rows {
  const rows = new Rows();
  rows.snapshot({ type: 'snapshot', id: 's', position: 'p', columns, key: ['invoice_id'], rows: list, last: true });
  return rows;
}

describe('a long table', () => {
  const sight = (lines: number, top: number) => inSight(lines, 30, { top, height: 300 }, 5);

  it('has the lines in sight in the page, and some around them', () => {
    expect(sight(1_000, 0)).toEqual({ first: 0, last: 15 });
    expect(sight(1_000, 3_015)).toEqual({ first: 95, last: 116 });
    expect(sight(1_000, 29_700)).toEqual({ first: 985, last: 1_000 });
  });

  it('has no line that is not there, and the last ones while it is scrolled beyond them', () => {
    expect(sight(0, 0)).toEqual({ first: 0, last: 0 });
    expect(sight(3, 0)).toEqual({ first: 0, last: 3 });
    expect(sight(20, 9_000)).toEqual({ first: 15, last: 20 });
  });

  it('is scrolled only as far as a line takes to be whole', () => {
    const top = (at: number, from: number) => topFor(at, 30, { top: from, height: 300 }, 32);
    expect(top(12, 300)).toBe(300);
    expect(top(2, 300)).toBe(60);
    expect(top(30, 300)).toBe(662);
  });
});

describe('a listing', () => {
  const rows = invoices(
    ['I2', 'USD', '99.0000', '2026-01-02'], ['I10', 'USD', '1234.5000', '2026-01-01'],
    ['I1', 'USD', null, '2026-03-01'],
  );
  const list = listColumns(columns);
  const names = (order: { column: string; descending: boolean }) =>
    sortRows([...rows.values()], list, order).map((row) => row[0]);

  it('sorts numbers as numbers, names as people do, and puts the unknown last', () => {
    expect(names({ column: 'balance', descending: true })).toEqual(['I10', 'I2', 'I1']);
    expect(names({ column: 'balance', descending: false })).toEqual(['I2', 'I10', 'I1']);
    expect(names({ column: 'invoice_id', descending: false })).toEqual(['I1', 'I2', 'I10']);
  });

  it('filters by every word, as written and as shown', () => {
    const found = (filter: string) => filterRows(rows, list, filter).map((row) => row[0]);
    expect(found('1,234')).toEqual(['I10']);
    expect(found('1234')).toEqual(['I10']);
    expect(found('usd jan')).toEqual(['I2', 'I10']);
    expect(found('euro')).toEqual([]);
    expect(found('  ')).toHaveLength(3);
  });

  it('adds up exactly, but never two currencies', () => {
    const balance = list[2];
    if (!balance) throw new Error('no column');
    const sum = totals([...rows.values()], list, ['balance']).get('balance');
    expect(sum).toBe(13_335_000n);
    expect(totalText(sum ?? 0n, balance)).toBe('1,333.50');
    const mixed = invoices(['A', 'USD', '1.0000', ''], ['B', 'EUR', '1.0000', '']);
    expect(totals([...mixed.values()], list, ['balance']).size).toBe(0);
  });

  it('puts the columns that lead first, each with its own cell', () => {
    const ordered = listColumns(columns, ['balance', 'currency']);
    expect(ordered.map((c) => [c.name, c.index])).toEqual([
      ['balance', 2], ['currency', 1], ['invoice_id', 0], ['due_date', 3],
    ]);
  });

  it('ranks the few largest or smallest of many', () => {
    const many = invoices(...Array.from({ length: 50 }, (_, i) =>
      [`N${i}`, 'USD', `${(i * 37) % 50}.0000`, ''] as [string, string, string, string]));
    const ranked = (lowest: boolean) =>
      topRows(many, { by: 'balance', most: 3, lowest }).map((cell) => cell('balance'));
    expect(ranked(false)).toEqual(['49.0000', '48.0000', '47.0000']);
    expect(ranked(true)).toEqual(['0.0000', '1.0000', '2.0000']);
  });
});

describe('a bar', () => {
  it('is as long as the whole by the longest, and never longer', () => {
    expect(partBar(30, 40, 80)).toEqual([{ share: 0.375, tone: 'accent' }, { share: 0.125, tone: 'bar' }]);
    expect(partBar(200, 150, 100, 'warn')).toEqual([{ share: 1, tone: 'warn' }, { share: 0, tone: 'bar' }]);
    expect(partBar(0, 0, 0).map(({ share }) => share)).toEqual([0, 0]);
  });
});

describe('a trail', () => {
  it('knows how far a figure moved and stays short', () => {
    const trail = new Trail();
    expect(trail.note(10_000n, 0)).toBe(true);
    expect(trail.note(10_000n, 1)).toBe(false);
    for (let i = 1; i <= 1000; i += 1) trail.note(10_000n + BigInt(i), i);
    expect(trail.change()).toBe(1000n);
    expect(trail.points.length).toBeLessThanOrEqual(240);
    expect(trail.points.at(-1)?.at).toBe(1000);
    expect(trail.points[0]?.at).toBe(0);
  });

  it('is drawn in steps', () => {
    const points = [{ at: 0, value: 0 }, { at: 50, value: 10 }];
    expect(trailPath(points, 100, 100, 20)).toBe('M0 20.0H50.0V0.0H100');
    expect(trailPath([{ at: 0, value: 5 }], 100, 100, 20)).toBe('M0 10.0H100');
    expect(trailPath([], 1, 1, 1)).toBe('');
  });
});

describe('bars that float', () => {
  it('stand above, below and across zero', () => {
    expect(span(10, 4)).toEqual({ base: 4, above: 6, below: 0 });
    expect(span(-2, -5)).toEqual({ base: -2, above: 0, below: -3 });
    expect(span(3, -5)).toEqual({ base: 0, above: 3, below: -5 });
  });
});

describe('a token', () => {
  const make = (claims: object) => {
    const bytes = new TextEncoder().encode(JSON.stringify(claims));
    const body = btoa(String.fromCharCode(...bytes));
    return `e30.${body.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}.c2ln`;
  };

  it('is read, whatever letters it holds', () => {
    const claims = readClaims(make({ sub: 'Jürgen ✓', tenant: 't', roles: ['executive'], exp: 10 }));
    expect(claims).toEqual({ subject: 'Jürgen ✓', tenant: 't', roles: ['executive'], expiresAt: 10_000 });
    expect(mayRead({ subject: '', tenant: 't', roles: ['service'], expiresAt: 1 })).toBe(false);
  });

  it.each(['', 'abc', 'a.b', 'a.%%%.c', 'a.bnVsbA.c'])('is not %j', (text) => {
    expect(readClaims(text)).toBeNull();
  });

  it('is taken at once from a link to this machine alone', () => {
    for (const host of ['127.0.0.1', '127.8.0.1', 'localhost', '[::1]']) expect(isOwnMachine(host)).toBe(true);
    for (const host of ['127.0.0.1.evil.example', 'localhost.example', '10.0.0.1', '']) {
      expect(isOwnMachine(host)).toBe(false);
    }
  });

  it('is found in an address', () => {
    expect(tokenInFragment('#token=a.b.c')).toBe('a.b.c');
    expect(tokenInFragment('#figures')).toBeNull();
    expect(tokenInFragment('#token=')).toBeNull();
  });
});

describe('a sign-in by an issuer', () => {
  const issuer = {
    issuer: 'https://id.example.com/realm', client_id: 'page', scope: 'openid profile',
    authorization_endpoint: 'https://id.example.com/authorize?kind=a',
  };
  // RFC 7636, appendix B.
  const verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';
  const pending = { state: 'the state', verifier, place: '/invoices' };

  it('asks with the challenge of the verifier, never with the verifier', async () => {
    expect(await challenge(verifier)).toBe('E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM');
    const address = new URL(await request(issuer, pending, 'https://page.example/'));
    expect(Object.fromEntries(address.searchParams)).toEqual({
      kind: 'a', response_type: 'code', client_id: 'page', redirect_uri: 'https://page.example/',
      scope: 'openid profile', state: 'the state', code_challenge_method: 'S256',
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    });
    expect(address.href).not.toContain(verifier);
  });

  it('knows an address that comes back', () => {
    expect(returned('?code=c%26d&state=s')).toEqual({ code: 'c&d', state: 's' });
    expect(returned('?error=access_denied&state=s')).toEqual({ error: 'access_denied', state: 's' });
    for (const other of ['', '?code=c', '?state=s', '?customer_id=C7']) expect(returned(other)).toBeNull();
  });

  it('is not finished with the state of another, nor with an error', async () => {
    await expect(finish({ code: 'c', state: 'other' }, pending)).rejects.toThrow(/not begun/);
    await expect(finish({ error: 'access_denied', state: 'the state' }, pending)).rejects.toThrow(/access_denied/);
  });
});

describe('an accent', () => {
  it('can be read on its ground whatever the firm chose', () => {
    for (const hex of ['#000', '#fff', '#ffff00', '#0b6b75', '#ff0044', '#808080']) {
      for (const ground of [[255, 255, 255], [23, 26, 30]] as const) {
        const colour = parseHex(hex);
        if (!colour) throw new Error(hex);
        expect(contrast(readable(colour, ground), ground), hex).toBeGreaterThanOrEqual(4.5);
      }
    }
  });

  it('is a colour or nothing', () => {
    expect(parseHex('#0af')).toEqual([0, 170, 255]);
    expect(parseHex('url(evil)')).toBeNull();
    expect(parseHex(7)).toBeNull();
  });
});
