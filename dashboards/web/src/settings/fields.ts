/** What a firm's services send beside the fields of event types, as the service lists it and as it is typed. */
import type { Problem } from '../lib/protocol';
import { LANGUAGE } from '../lib/units';

export const TYPES = ['text', 'int', 'decimal', 'date', 'timestamp', 'bool'] as const;
export type FieldType = (typeof TYPES)[number];

export interface DeclaredField {
  id: string;
  /** The event type. */
  on: string;
  name: string;
  title: string;
  type: FieldType;
  choices: string[];
  origin: 'template' | 'tenant';
}

/** As it is typed; choices have commas between them. */
export interface NewField {
  on: string;
  name: string;
  title: string;
  type: FieldType;
  choices: string;
}

export const EMPTY: NewField = { on: '', name: '', title: '', type: 'text', choices: '' };

/** The body of `PUT /v1/tenant/fields/{type}/{name}`. */
export interface Declaration {
  title: string;
  type: FieldType;
  choices?: string[];
}

/** Without a title the name is one; only a text has choices. */
export function declarationOf(field: NewField): Declaration {
  const title = field.title.trim() === '' ? field.name.trim() : field.title.trim();
  const choices = field.choices.split(',').map((choice) => choice.trim()).filter((choice) => choice !== '');
  return { title, type: field.type, ...(field.type === 'text' && choices.length > 0 ? { choices } : {}) };
}

/** The fields by their event types, those in the order of the alphabet. */
export function byType(fields: readonly DeclaredField[]): readonly (readonly [on: string, fields: readonly DeclaredField[]])[] {
  const found = new Map<string, DeclaredField[]>();
  for (const field of fields) found.set(field.on, [...(found.get(field.on) ?? []), field]);
  return [...found].sort(([a], [b]) => a.localeCompare(b, LANGUAGE));
}

/** The parts of the form that something can be wrong with. */
export type Part = keyof NewField;

const ABOUT: Record<string, Part> = {
  'unknown-event-type': 'on',
  'module-off': 'on',
  'invalid-field-name': 'name',
  conflict: 'name',
};

/** Which part a refusal is about, and what it says; null: none of them. */
export function wrongPart(problem: Problem): { part: Part; text: string } | null {
  const text = problem.detail ?? '';
  const part = ABOUT[problem.type?.split(':').at(-1) ?? ''];
  if (part !== undefined) return { part, text };
  const [, named, rest] = /^(title|choices): (.+)$/s.exec(text) ?? [];
  return named === undefined || rest === undefined ? null : { part: named as Part, text: rest };
}
