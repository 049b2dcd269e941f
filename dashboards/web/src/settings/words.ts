/** What the page for the firm's settings says. */
import type { DeclaredField, FieldType } from './fields';
import type { Kind, Outcome, Part, Side, State } from './merge';

export const words = {
  title: 'Settings',
  notAllowed: 'Settings are for admins.',
  notAllowedWay: 'Ask for a token with the role admin to change them.',
  toOverview: 'Go to the overview',
  loading: 'Loading…',
  firm: {
    title: 'Firm',
    name: 'Name',
    timezone: 'Time zone', timezoneHint: 'Where its days begin and end.',
    locale: 'Numbers and dates', localeHint: (sample: string) => `As in ${sample}.`,
    localeUnknown: 'A language and a country, such as de-DE. This browser does not know this one.',
    currency: 'Currency', currencyHint: 'Of amounts that name none, from now on. What is there keeps the one it came with.',
    modules: 'Modules', modulesHint: 'What is switched off is kept and not shown. With all of them on, those of later versions are too.',
    save: 'Save', saving: 'Saving…', saved: 'Saved.', unchanged: 'Nothing is changed.',
  },
  modules: {
    crm: 'Sales', invoicing: 'Invoices', purchasing: 'Purchasing', hr: 'People', inventory: 'Stock',
    projects: 'Projects', tasks: 'Routines', governance: 'Governance', property: 'Property',
  } as Record<string, string>,
  brand: {
    title: 'Appearance',
    name: 'Name on the page', nameHint: 'In the head and on paper; empty for the firm’s name.',
    logo: 'Logo', logoHint: 'PNG, JPEG or WebP; a larger picture than 48 KiB is made smaller.',
    noPicture: 'This file cannot be read as a picture. Choose a PNG, JPEG or WebP.',
    elsewhere: (address: string) => `Kept: the picture at ${address}. This page loads nothing from elsewhere and shows a letter; choose a file to see it here.`,
    removeLogo: 'Remove the logo',
    colour: { light: 'Colour by day', dark: 'Colour by night' },
    colourHint: { light: 'Like #0b6b75; empty for that of Tidemark.', dark: 'Empty for that of the day, made lighter.' },
    pick: { light: 'Pick the colour by day', dark: 'Pick the colour by night' },
    low: {
      light: (contrast: string) => `On white its contrast is ${contrast}, and 4.5 is needed to read it.`,
      dark: (contrast: string) => `On the dark ground its contrast is ${contrast}, and 4.5 is needed to read it.`,
    },
    use: (colour: string) => `Use ${colour}`,
    preview: 'How the page will look, by day and by night',
    sample: '41,203.00', unit: 'EUR', link: 'All invoices', button: 'Save',
  },
  template: {
    title: 'Template',
    none: 'This firm was begun without a template.',
    never: (title: string, newest: number) => `${title}: version ${newest} is there, and this firm was given none of it.`,
    neverWay: 'It is named as the line of business only. Look at what the template brings and take it over: nothing of yours is lost.',
    newest: (title: string, version: number) => `${title}, version ${version}: the newest there is.`,
    newer: (title: string, version: number, newest: number) => `${title}: version ${newest} is there; yours is ${version}.`,
    newerWay: 'Look at what it brings, decide where both have changed the same, and take it over. Nothing of yours is lost: what a dashboard was is kept as a version.',
    given: (time: string) => `Given ${time}.`,
    count: (n: number) => (n === 1 ? '1 part' : `${n} parts`),
    way: (title: string) => `What becomes of ${title}`,
    conflict: (title: string, within: string) => `${title}: ${within === '' ? 'all of it' : within}`,
    order: 'order', nothing: 'nothing',
    sides: { base: 'It was', theirs: 'The template has', ours: 'You have' } satisfies Record<'base' | Side, string>,
    open: (n: number) => (n === 1 ? 'One choice is left.' : `${n} choices are left.`),
    settled: 'Everything is decided.',
    apply: (version: number) => `Take over version ${version}`, applying: 'Taking over…',
    done: (version: number) => `Version ${version} is taken over.`,
    doneNothing: 'Nothing of yours had to be changed.',
    again: 'Try again: what was done already is not done twice.',
    refusals: {
      'template-conflicts': ['Somebody changed something meanwhile', 'Nothing was changed. There is more to decide now: see below.'],
      'template-version': ['A still newer version is there', 'Nothing was changed. Below is what the newest one brings.'],
      'changed-meanwhile': ['Somebody changed something meanwhile', 'Nothing was changed. Below is how it is now: look once more, then take it over.'],
      'invalid-settlement': ['Something of it is there no more', 'Nothing was changed. Below is how it is now: look once more, then take it over.'],
      'template-unfit': ['The changes of both do not go together', 'Nothing was changed. Choose the one or the other for all of what is marked below.'],
    } as Record<string, readonly [title: string, detail: string]>,
    unfit: 'Both changes do not go together here: choose one of the two.',
  },
  fields: {
    title: 'Fields',
    about: 'What your services send beside the fields that events have. Each is a column in SQL, in reports and in views of your own.',
    none: 'Nothing is declared yet.',
    on: 'Sent with', onHint: 'The type of event, such as inventory.stock_shipped.',
    name: 'Name in the event', nameHint: 'As your services send it: letters, digits and _.',
    fieldTitle: 'Title of the field', fieldTitleHint: 'For people; empty for the name.',
    type: 'What it holds', typeHint: 'A value that does not fit reads as nothing.',
    choices: 'Choices', choicesHint: 'What it may be, with commas between; empty for anything.',
    types: {
      text: 'Text', int: 'Whole number', decimal: 'Decimal', date: 'Date', timestamp: 'Date and time', bool: 'Yes or no',
    } satisfies Record<FieldType, string>,
    origins: { template: 'from the template', tenant: 'your own' } satisfies Record<DeclaredField['origin'], string>,
    add: 'Add the field', adding: 'Adding…',
    added: (title: string) => `${title} is a column now.`,
    remove: 'Remove', removeOf: (title: string) => `Remove ${title}`,
    removed: (title: string) => `${title} is removed.`,
    removeTitle: (title: string) => `Remove ${title}?`,
    removeText: 'It is no column any more: what asks for it fails until it is declared again. What events carry of it stays with them.',
    removeNo: 'Keep it', removeYes: 'Remove it',
  },
  kinds: {
    module: 'Module', dashboard: 'Dashboard', report: 'Report', alert_rule: 'Alert rule', event: 'To begin with',
  } satisfies Record<Kind, string>,
  states: {
    'changed-by-both': ['Changed by you and by the template', 'Both changes go together, and where they do not, you choose.'],
    new: ['New', 'In the newer version only.'],
    'changed-by-template': ['Changed by the template', 'You have left these as they were.'],
    'removed-by-template': ['No longer in the template', 'They stay with you.'],
    'deleted-by-tenant': ['Deleted or switched off by you', 'They stay so.'],
    'changed-by-tenant': ['Changed by you', 'The template has left these as they were.'],
    unchanged: ['Unchanged', 'Nobody has changed these.'],
  } satisfies Record<State, readonly [title: string, about: string]>,
  /** What can be chosen for a part. */
  ways: {
    kept: 'Keep yours', updated: 'Take the newer', merged: 'Join both', added: 'Take it', 'left-out': 'Leave it out',
    deleted: 'Delete it', 'brought-back': 'Bring it back', replaced: 'Take the template’s, whole',
  } satisfies Record<Outcome, string>,
  /** What was done to a part. */
  outcomes: {
    kept: 'kept as you have it', updated: 'brought up to date', merged: 'has the changes of both', added: 'added',
    'left-out': 'left out', deleted: 'deleted', 'brought-back': 'brought back',
    replaced: 'replaced by the template’s',
  } satisfies Record<Outcome, string>,
  /** The same of a module, where it is another. */
  ofModule: {
    ways: { added: 'Switch it on', 'left-out': 'Leave it off', deleted: 'Switch it off', 'brought-back': 'Switch it on' },
    outcomes: { added: 'switched on', 'left-out': 'left off', deleted: 'switched off', 'brought-back': 'switched on' },
  } satisfies Record<'ways' | 'outcomes', Partial<Record<Outcome, string>>>,
};

/** What people call a part. */
export function titleOf({ kind, id, title }: Part): string {
  return kind === 'module' ? (words.modules[id] ?? title) : title;
}

/** What can be chosen for a part, or what was done to it. */
export function sayOf(what: 'ways' | 'outcomes', { kind }: Part, outcome: Outcome): string {
  const ofModule: Partial<Record<Outcome, string>> = words.ofModule[what];
  return (kind === 'module' ? ofModule[outcome] : undefined) ?? words[what][outcome];
}
