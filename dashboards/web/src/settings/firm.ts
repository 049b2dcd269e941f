/** The firm's settings as a form shows them, and what of them is to be another. */
import type { Tenant } from '../lib/api';
import { brandOf, type Shade } from '../lib/branding';
import { parseHex, toHex } from '../lib/colour';
import type { Problem } from '../lib/protocol';

/** The modules there are, in the order of the service. */
export const MODULES = [
  'crm', 'invoicing', 'purchasing', 'hr', 'inventory', 'projects', 'tasks', 'governance', 'property',
] as const;

/** As it is typed; what is empty is not chosen. */
export interface Form {
  name: string;
  timezone: string;
  currency: string;
  modules: string[];
  brandName: string;
  logo: string | null;
  colours: Record<Shade, string>;
}

interface Branding {
  name?: string;
  logo?: string;
  colours?: { accent?: string; accent_dark?: string };
}

/** The body of `PATCH /v1/tenant`: what is named becomes another; `null` is the default. */
export interface Change {
  name?: string;
  timezone?: string;
  currency?: string;
  modules?: string[] | null;
  branding?: Branding | null;
}

export function formOf(tenant: Tenant): Form {
  const brand = brandOf(tenant.branding);
  const typed = (shade: Shade) => {
    const colour = brand.colours[shade];
    return colour === null ? '' : toHex(colour);
  };
  return {
    name: tenant.name,
    timezone: tenant.timezone,
    currency: tenant.currency,
    modules: [...tenant.modules],
    brandName: brand.name ?? '',
    logo: brand.logo,
    colours: { light: typed('light'), dark: typed('dark') },
  };
}

/** All modules that can be chosen: those that this page knows, and those that the firm has. */
export function modulesOf({ modules }: Tenant): readonly string[] {
  return [...new Set<string>([...MODULES, ...modules])];
}

/** A colour in one spelling; what is none goes as it is, which the service refuses with a sentence. */
function spelled(colour: string): string {
  const read = parseHex(colour);
  return read === null ? colour.trim() : toHex(read);
}

function brandingOf(form: Form): Branding | null {
  const [accent, accentDark] = [spelled(form.colours.light), spelled(form.colours.dark)];
  const branding: Branding = {
    ...(form.brandName.trim() === '' ? {} : { name: form.brandName.trim() }),
    ...(form.logo === null ? {} : { logo: form.logo }),
    ...(accent === '' && accentDark === ''
      ? {}
      : { colours: { ...(accent === '' ? {} : { accent }), ...(accentDark === '' ? {} : { accent_dark: accentDark }) } }),
  };
  return Object.keys(branding).length === 0 ? null : branding;
}

/** What the form has that the firm has not. */
export function changeOf(tenant: Tenant, form: Form): Change {
  const was = formOf(tenant);
  const [name, timezone, currency] = [form.name.trim(), form.timezone.trim(), form.currency.trim()];
  const isSame = was.modules.length === form.modules.length && was.modules.every((module) => form.modules.includes(module));
  const isAll = modulesOf(tenant).every((module) => form.modules.includes(module));
  const branding = brandingOf(form);
  return {
    ...(name === was.name ? {} : { name }),
    ...(timezone === was.timezone ? {} : { timezone }),
    ...(currency === was.currency ? {} : { currency }),
    // All of them means those of later versions too.
    ...(isSame ? {} : { modules: isAll ? null : form.modules }),
    // The service keeps branding as a whole.
    ...(JSON.stringify(branding) === JSON.stringify(brandingOf(was)) ? {} : { branding }),
  };
}

/** The parts of the form that something can be wrong with. */
export type Field = 'name' | 'timezone' | 'currency' | 'modules' | 'brandName' | 'logo' | Shade;

const BRANDING: readonly (readonly [RegExp, Field])[] = [
  [/the colour `accent`/, 'light'],
  [/the colour `accent_dark`/, 'dark'],
  [/`logo`/, 'logo'],
  [/`name`/, 'brandName'],
];

/** Which field a refusal is about, and what it says without the field's name in front; null: none of them. */
export function wrongIn(problem: Problem): { field: Field; text: string } | null {
  const [, named, text] = /^(name|timezone|currency|modules|branding): (.+)$/s.exec(problem.detail ?? '') ?? [];
  if (named === undefined || text === undefined) return null;
  if (named !== 'branding') return { field: named as Field, text };
  const field = BRANDING.find(([about]) => about.test(text))?.[1];
  return field === undefined ? null : { field, text };
}
