/** The firm's settings as a form shows them, and what of them is to be another. */
import type { Tenant } from '../lib/api';
import { brandOf, type Shade } from '../lib/branding';
import { parseHex, toHex } from '../lib/colour';
import { DEFAULT_LOCALE } from '../lib/locale.svelte';
import type { Problem } from '../lib/protocol';

/** The modules there are, in the order of the service. */
export const MODULES = [
  'crm', 'invoicing', 'purchasing', 'hr', 'inventory', 'projects', 'tasks', 'governance', 'property',
] as const;

/** As it is typed; what is empty is not chosen. */
export interface Form {
  name: string;
  timezone: string;
  locale: string;
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
  locale?: string;
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
    locale: tenant.locale ?? DEFAULT_LOCALE,
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

/** Each part that was changed in the form, and of the others what the firm has now. */
function merged<T extends object>(was: T, form: T, now: T): T {
  const parts = Object.keys(was) as (keyof T)[];
  return Object.fromEntries(parts.map((part) => [part, form[part] === was[part] ? now[part] : form[part]])) as T;
}

/**
 * What is told of the firm to be another. `tenant` is what the form was filled with, `now` the firm as it was
 * read since: somebody else may have changed what the service keeps as a whole, and only what was typed here
 * is to be another in it.
 */
export function changeOf(tenant: Tenant, form: Form, now: Tenant = tenant): Change {
  const [was, present] = [formOf(tenant), formOf(now)];
  const typed = {
    name: form.name.trim(), timezone: form.timezone.trim(), locale: form.locale.trim(), currency: form.currency.trim(),
  };
  const modules = modulesOf(now).filter((module) => {
    const isOn = form.modules.includes(module);
    return isOn === was.modules.includes(module) ? present.modules.includes(module) : isOn;
  });
  const isSame = was.modules.length === form.modules.length && was.modules.every((module) => form.modules.includes(module));
  const isAll = modulesOf(now).every((module) => modules.includes(module));
  const [before, wanted] = [brandingOf(was), brandingOf(form)];
  const branding = brandingOf({
    ...form, ...merged(brandPartsOf(was), brandPartsOf(form), brandPartsOf(present)),
    colours: merged(coloursOf(was), coloursOf(form), coloursOf(present)),
  });
  return {
    ...(typed.name === was.name ? {} : { name: typed.name }),
    ...(typed.timezone === was.timezone ? {} : { timezone: typed.timezone }),
    ...(typed.locale === was.locale ? {} : { locale: typed.locale }),
    ...(typed.currency === was.currency ? {} : { currency: typed.currency }),
    // All of them means those of later versions too.
    ...(isSame ? {} : { modules: isAll ? null : modules }),
    // The service keeps branding as a whole.
    ...(JSON.stringify(wanted) === JSON.stringify(before) ? {} : { branding }),
  };
}

const brandPartsOf = ({ brandName, logo }: Form) => ({ brandName: brandName.trim(), logo });
const coloursOf = ({ colours }: Form) => ({ light: spelled(colours.light), dark: spelled(colours.dark) });

/** The parts of the form that something can be wrong with. */
export type Field = 'name' | 'timezone' | 'locale' | 'currency' | 'modules' | 'brandName' | 'logo' | Shade;

const BRANDING: readonly (readonly [RegExp, Field])[] = [
  [/the colour `accent`/, 'light'],
  [/the colour `accent_dark`/, 'dark'],
  [/`logo`/, 'logo'],
  [/`name`/, 'brandName'],
];

/** Which field a refusal is about, and what it says without the field's name in front; null: none of them. */
export function wrongIn(problem: Problem): { field: Field; text: string } | null {
  const [, named, text] = /^(name|timezone|locale|currency|modules|branding): (.+)$/s.exec(problem.detail ?? '') ?? [];
  if (named === undefined || text === undefined) return null;
  if (named !== 'branding') return { field: named as Field, text };
  const field = BRANDING.find(([about]) => about.test(text))?.[1];
  return field === undefined ? null : { field, text };
}
