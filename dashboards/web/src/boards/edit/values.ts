/** Values of a document as they are typed: text, numbers, true and false, and nothing at all. */
import type { Cell } from '../../lib/protocol';
import type { FilterType } from '../document';

export const VALUE_KINDS = ['text', 'number', 'bool', 'null'] as const;
export type ValueKind = (typeof VALUE_KINDS)[number];

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;
/** Digits that a number in JSON keeps for certain; longer ones go as text, which the service takes too. */
const EXACT_DIGITS = 15;

export function kindOfValue(value: Cell): ValueKind {
  if (value === null) return 'null';
  return typeof value === 'number' ? 'number' : typeof value === 'boolean' ? 'bool' : 'text';
}

export function textOfValue(value: Cell): string {
  return value === null ? '' : String(value);
}

/** What is typed as a value of a kind. What is no number stays text, so that nothing typed is lost. */
export function valueOf(kind: ValueKind, text: string): Cell {
  const typed = text.trim();
  switch (kind) {
    case 'null': return null;
    case 'bool': return typed === 'true';
    case 'number': return isExact(typed) ? Number(typed) : typed;
    case 'text': return text;
  }
}

function isExact(typed: string): boolean {
  return NUMBER.test(typed) && typed.replaceAll(/\D/g, '').length <= EXACT_DIGITS;
}

/** The kind in which a column of a type is compared; types are those of answers. */
export function kindForType(type: string): ValueKind {
  if (type === 'bool') return 'bool';
  return type === 'int' || type === 'float' ? 'number' : 'text';
}

/** A filter's default as it is typed; undefined where there is none. */
export function defaultOf(type: FilterType, text: string): Cell | undefined {
  const typed = text.trim();
  if (typed === '') return undefined;
  switch (type) {
    case 'bool': return typed === 'true' ? true : typed === 'false' ? false : typed;
    case 'int': return /^-?\d+$/.test(typed) && isExact(typed) ? Number(typed) : typed;
    case 'text': return text;
    case 'decimal': case 'date': case 'timestamp': return typed;
  }
}
