import { describe, expect, it } from 'vitest';
import type { Tenant } from '../../src/lib/api';
import { accentOf, brandOf, initial, LEAST, nearest, pictureOf, SUNKEN, SURFACES, type Shade } from '../../src/lib/branding';
import { contrast, parseHex, toHex, type Rgb } from '../../src/lib/colour';
import { keepBrand, lastBrand } from '../../src/lib/last_brand';
import { mayAdminister } from '../../src/lib/token';
import { byType, declarationOf, EMPTY, wrongPart, type DeclaredField, type NewField } from '../../src/settings/fields';
import { changeOf, formOf, MODULES, modulesOf, wrongIn, type Form } from '../../src/settings/firm';
import { dataAddress, kindOf } from '../../src/settings/logo';
import {
  conflictsOf, doneTo, GROUPS, namesWithin, openConflicts, outcomeOf, settlement, sideText, waysOf, type Given, type Outcome,
  type Part,
} from '../../src/settings/merge';
import { sayOf, titleOf } from '../../src/settings/words';

/** The same sequence whenever it is asked for (Lehmer's, modulo 2³¹ − 1). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647);
}

function colours(count: number): Rgb[] {
  const next = numbers(20_261_122);
  const part = () => next() % 256;
  const random = Array.from({ length: count }, (): Rgb => [part(), part(), part()]);
  const corners = [0, 127, 255].flatMap((r) => [0, 127, 255].flatMap((g) => [0, 127, 255].map((b): Rgb => [r, g, b])));
  return [...corners, ...random];
}

function read(hex: string): Rgb {
  const colour = parseHex(hex);
  if (!colour) throw new Error(hex);
  return colour;
}

const SHADES: readonly Shade[] = ['light', 'dark'];
/** All on which the accent stands; the ground itself lies between the other two, or beyond the surface. */
const GROUNDS: Record<Shade, readonly Rgb[]> = {
  light: [SURFACES.light, SUNKEN.light, [246, 246, 244]],
  dark: [SURFACES.dark, SUNKEN.dark, [15, 18, 21]],
};

describe('the accent of any firm', () => {
  it('is read on every ground of the page, and what stands on it is too', () => {
    for (const colour of colours(1_000)) {
      for (const shade of SHADES) {
        const accents = [
          accentOf({ light: colour, dark: null }, shade),
          accentOf({ light: null, dark: colour }, shade),
          accentOf({ light: colour, dark: colour }, shade),
        ];
        for (const accent of accents) {
          for (const ground of GROUNDS[shade]) {
            expect(contrast(read(accent), ground), `${toHex(colour)} ${shade}`).toBeGreaterThanOrEqual(4.5);
          }
        }
      }
    }
  });

  it('is the one that was chosen where that can be read', () => {
    for (const colour of colours(1_000)) {
      if (contrast(colour, SUNKEN.light) < 4.6) continue;
      expect(accentOf({ light: colour, dark: null }, 'light')).toBe(toHex(colour));
    }
    expect(accentOf({ light: read('#0055aa'), dark: read('#ffd166') }, 'dark')).toBe('#ffd166');
  });

  it('has a nearest one that the service takes', () => {
    for (const colour of colours(1_000)) {
      for (const shade of SHADES) {
        const taken = nearest(colour, shade);
        expect(contrast(read(taken), SURFACES[shade]), toHex(colour)).toBeGreaterThanOrEqual(LEAST);
        if (contrast(colour, SURFACES[shade]) >= LEAST) expect(taken).toBe(toHex(colour));
      }
    }
  });
});

describe('branding', () => {
  it('is read from whatever a firm has', () => {
    expect(brandOf(null)).toEqual({ name: null, logo: null, colours: { light: null, dark: null } });
    for (const colours of ['#fff', null, 7, []]) {
      expect(brandOf({ name: 5, logo: {}, colours }).colours).toEqual({ light: null, dark: null });
    }
    expect(brandOf({ name: ' Nordwind ', accent: '#05a' })).toEqual({
      name: 'Nordwind', logo: null, colours: { light: [0, 85, 170], dark: null },
    });
  });

  it('shows pictures and nothing else', async () => {
    const bytes = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 255]);
    const picture = pictureOf(dataAddress('image/png', bytes));
    if (!picture) throw new Error('no picture');
    expect(picture.type).toBe('image/png');
    expect(new Uint8Array(await picture.arrayBuffer())).toEqual(bytes);
    for (const other of ['https://a.example/l.png', 'data:image/svg+xml;base64,AAAA', 'data:image/png;base64,A', 'data:image/png,AAAA', '']) {
      expect(pictureOf(other), other).toBeNull();
    }
  });

  it('knows pictures by what they begin with', () => {
    const of = (text: string) => kindOf(Uint8Array.from(text, (c) => c.charCodeAt(0)));
    expect(of('\x89PNG\r\n\x1a\nrest')).toBe('image/png');
    expect(of('\xff\xd8\xff\xe0')).toBe('image/jpeg');
    expect(of('RIFF1234WEBP')).toBe('image/webp');
    for (const other of ['RIFF1234WAVE', 'GIF89a', '<svg/>', '\x89PN', '']) expect(of(other), other).toBeNull();
  });

  it('is kept for the sign-in, as far as it can be read again', () => {
    const held = new Map<string, string>();
    const storage = {
      getItem: (name: string) => held.get(name) ?? null, setItem: (name: string, text: string) => void held.set(name, text),
      removeItem: (name: string) => void held.delete(name),
    } as unknown as Storage;
    expect(lastBrand(storage)).toBeNull();
    const brand = brandOf({ logo: 'data:image/png;base64,AAAA', colours: { accent: '#0055aa' } });
    keepBrand('Harbour', brand, storage);
    expect(lastBrand(storage)).toEqual({ ...brand, name: 'Harbour' });
    const full = { ...storage, setItem: () => { throw new DOMException('full', 'QuotaExceededError'); } } as Storage;
    keepBrand('Another', brand, full);
    expect(lastBrand(storage)).toBeNull();
    for (const damaged of ['', '{', '7', '{"name":7}', '[]']) {
      storage.setItem('tidemark.brand', damaged);
      expect(lastBrand(storage), damaged).toBeNull();
    }
  });

  it('has a letter for those without a logo', () => {
    expect([' harbour', 'élan', '𝒜b', ''].map(initial)).toEqual(['H', 'É', '𝒜', '']);
  });
});

describe('the form of a firm', () => {
  const tenant: Tenant = {
    id: 'harbour', name: 'Harbour', timezone: 'Europe/London', currency: 'GBP', clock: 'wall',
    vertical: null, modules: ['crm', 'invoicing'], branding: { name: 'H & F', colours: { accent: '#0055aa' } },
  };
  const changed = (by: Partial<Form>) => changeOf(tenant, { ...formOf(tenant), ...by });

  it('changes nothing that was not touched', () => {
    expect(changed({})).toEqual({});
    expect(changed({ name: ' Harbour ', colours: { light: '#05A', dark: '' }, modules: ['invoicing', 'crm'] })).toEqual({});
    const bare = { ...tenant, branding: {} };
    expect(changeOf(bare, formOf(bare))).toEqual({});
  });

  it('names what is another', () => {
    expect(changed({ name: 'Harbour Ltd', timezone: 'Europe/Dublin', currency: ' EUR' })).toEqual({
      name: 'Harbour Ltd', timezone: 'Europe/Dublin', currency: 'EUR',
    });
    expect(changed({ modules: ['crm'] })).toEqual({ modules: ['crm'] });
    expect(changed({ modules: [] })).toEqual({ modules: [] });
  });

  it('takes all modules for those of later versions too', () => {
    expect(changed({ modules: [...MODULES] })).toEqual({ modules: null });
    expect(modulesOf({ ...tenant, modules: ['crm', 'fleet'] })).toEqual([...MODULES, 'fleet']);
  });

  it('gives branding as a whole, and none where nothing is left of it', () => {
    expect(changed({ logo: 'data:image/png;base64,AAAA' })).toEqual({
      branding: { name: 'H & F', logo: 'data:image/png;base64,AAAA', colours: { accent: '#0055aa' } },
    });
    expect(changed({ colours: { light: '', dark: '#ABC' } })).toEqual({
      branding: { name: 'H & F', colours: { accent_dark: '#aabbcc' } },
    });
    expect(changed({ brandName: ' ', colours: { light: '', dark: '' } })).toEqual({ branding: null });
    // What is no colour is for the service to refuse.
    expect(changed({ colours: { light: 'blue', dark: '' } })).toMatchObject({ branding: { colours: { accent: 'blue' } } });
  });

  it('changes in what is kept as a whole nothing but what was typed', () => {
    const now: Tenant = {
      ...tenant, modules: ['crm', 'invoicing', 'hr'],
      branding: { name: 'Finch & Co', logo: 'data:image/png;base64,BBBB', colours: { accent: '#0055aa', accent_dark: '#ffd166' } },
    };
    const onto = (by: Partial<Form>) => changeOf(tenant, { ...formOf(tenant), ...by }, now);
    expect(onto({ colours: { light: '#333333', dark: '' } })).toEqual({
      branding: { name: 'Finch & Co', logo: 'data:image/png;base64,BBBB', colours: { accent: '#333333', accent_dark: '#ffd166' } },
    });
    expect(onto({ brandName: '' })).toEqual({
      branding: { logo: 'data:image/png;base64,BBBB', colours: { accent: '#0055aa', accent_dark: '#ffd166' } },
    });
    expect(onto({ modules: ['crm', 'invoicing', 'tasks'] })).toEqual({ modules: ['crm', 'invoicing', 'hr', 'tasks'] });
    expect(onto({ name: 'Harbour Ltd' })).toEqual({ name: 'Harbour Ltd' });
  });

  it('has a locale where the service keeps one', () => {
    expect(formOf(tenant).locale).toBe('en-GB');
    expect(changed({ locale: 'de-DE' })).toEqual({ locale: 'de-DE' });
    const german = { ...tenant, locale: 'de-DE' };
    expect(changeOf(german, formOf(german))).toEqual({});
  });

  it.each([
    ['locale: a locale is a language tag such as en-GB', 'locale'],
    ['name: has 1 to 200 characters, and no control characters', 'name'],
    ['timezone: a timezone is the name of a place in the IANA database, such as Europe/Berlin, or UTC', 'timezone'],
    ['currency: a currency is an ISO 4217 code of three capital letters, such as EUR', 'currency'],
    ['modules: name at least one of crm, or leave the field out for all', 'modules'],
    ['branding: `name` has 1 to 80 characters, and no control characters', 'brandName'],
    ['branding: the picture in `logo` is too large: at most 49152 bytes are kept', 'logo'],
    ['branding: the colour `accent` has a contrast of 1.4 with white', 'light'],
    ['branding: the colour `accent_dark` has a contrast of 1.4 with #171a1e', 'dark'],
  ])('%s', (detail, field) => {
    expect(wrongIn({ detail })).toEqual({ field, text: detail.slice(detail.indexOf(': ') + 2) });
  });

  it('leaves other refusals to be said at the end', () => {
    for (const detail of [undefined, 'the body is no JSON', 'branding: has no member `motto`', 'clock: no']) {
      expect(wrongIn({ ...(detail === undefined ? {} : { detail }) })).toBeNull();
    }
  });
});

describe('who may change settings', () => {
  it('is said by the token, or by the service', () => {
    const claims = (roles: string[]) => ({ subject: 's', tenant: 't', roles, expiresAt: undefined });
    expect(mayAdminister(claims(['analyst', 'admin']))).toBe(true);
    expect(mayAdminister(claims(['executive']))).toBe(false);
    expect(mayAdminister(claims(['boss']))).toBeNull();
    expect(mayAdminister(null)).toBeNull();
  });
});

describe('a newer version of a template', () => {
  const part = (id: string, state: Part['state'], conflicts = 0): Part => (
    { path: `/dashboards/${id}`, kind: 'dashboard', id: `retail-${id}`, title: id, state, conflicts }
  );
  const given: Given = {
    vertical: 'retail', title: 'Shop', version: 1, newest: 2, is_newer: true, given_at: '2026-03-01T08:00:00Z',
    parts: [
      part('stock', 'changed-by-both', 2), part('stock-value', 'changed-by-both', 1), part('returns', 'new'),
      part('sales', 'changed-by-template'), part('old', 'removed-by-template'), part('gone', 'deleted-by-tenant'),
      part('mine', 'changed-by-tenant'), part('same', 'unchanged'),
    ],
    conflicts: [
      { path: '/dashboards/stock/document/widgets/low/title', about: 'value', base: 'a', theirs: 'b', ours: 'c' },
      { path: '/dashboards/stock/document/widgets', about: 'order', base: ['x', 'y'], theirs: ['y', 'x'] },
      { path: '/dashboards/stock-value/title', about: 'value', base: 'a', theirs: 'b', ours: 'c' },
    ],
  };
  const [title = '', order = '', value = ''] = given.conflicts.map(({ path }) => path);
  const first = given.parts[0] as Part;

  it('shows every state once', () => {
    expect([...GROUPS].sort()).toEqual(given.parts.map(({ state }) => state).filter((s, i, all) => all.indexOf(s) === i).sort());
  });

  it('offers each way that leads elsewhere, and no other', () => {
    const ways = Object.fromEntries(GROUPS.map((state) => [state, waysOf(state).map((way) => outcomeOf(state, way))]));
    expect(ways).toEqual({
      'changed-by-both': ['merged', 'replaced', 'kept'], new: ['added', 'left-out'],
      'changed-by-template': ['updated', 'kept'], 'removed-by-template': ['kept', 'deleted'],
      'deleted-by-tenant': ['kept', 'brought-back'], 'changed-by-tenant': ['kept', 'replaced'], unchanged: ['kept'],
    });
  });

  it('tells whose conflicts are whose, though one name begins with another', () => {
    expect(conflictsOf(given, first).map(({ path }) => path)).toEqual([title, order]);
  });

  it('asks for every conflict until it, or all of its part, is settled', () => {
    expect(openConflicts(given, {})).toHaveLength(3);
    expect(openConflicts(given, { [title]: 'ours', [order]: 'theirs' }).map(({ path }) => path)).toEqual([value]);
    expect(openConflicts(given, { [first.path]: 'theirs' }).map(({ path }) => path)).toEqual([value]);
    expect(openConflicts(given, { [first.path]: 'ours', [value]: 'ours' })).toEqual([]);
  });

  it('tells the service of what is there, and once', () => {
    expect(settlement(given, { [title]: 'ours', [value]: 'theirs', '/dashboards/gone-since': 'ours' })).toEqual({
      [title]: 'ours', [value]: 'theirs',
    });
    expect(settlement(given, { [first.path]: 'theirs', [title]: 'ours', [value]: 'theirs' })).toEqual({
      [first.path]: 'theirs', [value]: 'theirs',
    });
  });

  it('says what was done', () => {
    const done = doneTo(given, { [title]: 'ours', '/dashboards/returns': 'ours', '/dashboards/sales': 'ours', '/dashboards/old': 'theirs' });
    expect(done.map(({ part: { title }, outcome }) => `${title} ${outcome}`)).toEqual([
      'stock merged', 'stock-value merged', 'returns left-out', 'sales kept', 'old deleted',
    ]);
  });

  it('says of a module that it is switched', () => {
    const module: Part = { path: '/modules/hr', kind: 'module', id: 'hr', title: 'hr', state: 'new', conflicts: 0 };
    expect([titleOf(module), titleOf(first)]).toEqual(['People', 'stock']);
    expect(['added', 'left-out', 'kept'].map((outcome) => sayOf('ways', module, outcome as Outcome))).toEqual(
      ['Switch it on', 'Leave it off', 'Keep yours'],
    );
    expect([sayOf('outcomes', module, 'deleted'), sayOf('outcomes', first, 'deleted')]).toEqual(['switched off', 'deleted']);
  });

  it('reads paths and sides', () => {
    expect(namesWithin(first, title)).toEqual(['widgets', 'low', 'title']);
    expect(namesWithin(first, `${first.path}/document/a~1b/c~0d`)).toEqual(['a/b', 'c~d']);
    expect(namesWithin(first, first.path)).toEqual([]);
    const [text, list] = given.conflicts;
    if (!text || !list) throw new Error('no conflicts');
    expect(sideText(text, 'theirs')).toBe('b');
    expect([sideText(list, 'theirs'), sideText(list, 'ours')]).toEqual(['1. y\n2. x', null]);
    expect(sideText({ path: '', about: 'value', ours: { w: 3 } }, 'ours')).toBe('{\n  "w": 3\n}');
    expect(sideText({ path: '', about: 'value', ours: null }, 'ours')).toBe('null');
  });
});

describe('a field that is declared', () => {
  const typed = (more: Partial<NewField>): NewField => ({ ...EMPTY, on: 'hr.time_logged', name: 'lot', ...more });

  it('has its name as its title where none is typed, and choices only as a text', () => {
    expect(declarationOf(typed({ name: ' lot ' }))).toEqual({ title: 'lot', type: 'text' });
    const choices = ' red, green ,, blue ';
    expect(declarationOf(typed({ title: ' Lot ', choices }))).toEqual({
      title: 'Lot', type: 'text', choices: ['red', 'green', 'blue'],
    });
    expect(declarationOf(typed({ type: 'int', choices }))).toEqual({ title: 'lot', type: 'int' });
  });

  it('stands with the others of its event type, in the order of the service', () => {
    const field = (on: string, name: string): DeclaredField => ({
      id: `${on}/${name}`, on, name, title: name, type: 'text', choices: [], origin: 'tenant',
    });
    const groups = byType([field('tasks.a', 'z'), field('hr.b', 'y'), field('tasks.a', 'x')]);
    expect(groups.map(([on, fields]) => [on, fields.map(({ name }) => name)])).toEqual([['hr.b', ['y']], ['tasks.a', ['z', 'x']]]);
    expect(byType([])).toEqual([]);
  });

  it('is refused where something is wrong with it', () => {
    const problem = (slug: string, detail: string) => ({ type: `urn:tidemark:problem:${slug}`, title: 'No', detail });
    expect(wrongPart(problem('conflict', 'it is taken'))).toEqual({ part: 'name', text: 'it is taken' });
    expect(wrongPart(problem('unknown-event-type', 'there is none'))).toEqual({ part: 'on', text: 'there is none' });
    expect(wrongPart(problem('invalid-body', 'choices: each once'))).toEqual({ part: 'choices', text: 'each once' });
    expect(wrongPart(problem('limit-exceeded', 'remove one first'))).toBeNull();
  });
});
