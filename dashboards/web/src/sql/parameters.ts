/** The parameters `$1`, `$2`, … of a query: which there are, and their values as they are sent. */
import { words } from './words';

/** How what was typed in is meant. */
export const KINDS = ['auto', 'text', 'int', 'decimal', 'date', 'timestamp', 'bool', 'null'] as const;
export type Kind = (typeof KINDS)[number];

export interface Parameter {
  kind: Kind;
  text: string;
}

export const NO_VALUE: Parameter = { kind: 'auto', text: '' };

/** As many as a query may have here; a higher number is a slip of the hand. */
const MOST = 100;

/** Strings, names in quotes and comments, in which `$1` is no parameter, and the parameters. */
const TOKENS = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\$(\d+)/g;

/** The highest number of a parameter: so many values are sent. */
export function parameterCount(sql: string): number {
  let highest = 0;
  for (const [, number] of sql.matchAll(TOKENS)) {
    if (number !== undefined && Number(number) <= MOST) highest = Math.max(highest, Number(number));
  }
  return highest;
}

/** The SQL with a text in the place of each parameter; one that none is given for stays. */
export function withParameters(sql: string, texts: readonly string[]): string {
  return sql.replaceAll(TOKENS, (token: string, number?: string) =>
    number === undefined ? token : texts[Number(number) - 1] ?? token);
}

/** The values that belong to a query: as many as it has parameters, those that are there kept. */
export function fitted(parameters: readonly Parameter[], sql: string): Parameter[] {
  return Array.from({ length: parameterCount(sql) }, (_, i) => parameters[i] ?? NO_VALUE);
}

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;
/** Digits that a number in JSON keeps for certain; the service takes longer ones as text. */
const EXACT_DIGITS = 15;

function digitsOf(text: string): number {
  return text.replaceAll(/\D/g, '').length;
}

/** Why a value cannot be sent, as a sentence; null if it can. */
export function wrong({ kind, text }: Parameter): string | null {
  const typed = text.trim();
  switch (kind) {
    case 'int': return /^-?(?:0|[1-9]\d*)$/.test(typed) ? null : words.parameters.noInt;
    case 'decimal': return NUMBER.test(typed) ? null : words.parameters.noDecimal;
    case 'date': return isDay(typed) ? null : words.parameters.noDate;
    case 'timestamp': return isInstant(typed) ? null : words.parameters.noTimestamp;
    default: return null;
  }
}

function isDay(text: string): boolean {
  const date = /^\d{4}-\d{2}-\d{2}$/.test(text) ? new Date(`${text}T00:00:00Z`) : null;
  return date !== null && !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

function isInstant(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/.test(text)
    && !Number.isNaN(Date.parse(text));
}

/** A value as JSON: numbers with the digits that were typed, text where JSON might lose some. */
function json({ kind, text }: Parameter): string {
  const typed = text.trim();
  switch (kind) {
    case 'null': return 'null';
    case 'bool': return typed === 'true' ? 'true' : 'false';
    case 'int': return typed;
    case 'decimal': return digitsOf(typed) > EXACT_DIGITS ? JSON.stringify(typed) : typed;
    case 'date': case 'timestamp': return JSON.stringify(typed);
    case 'auto': return NUMBER.test(typed) && digitsOf(typed) <= EXACT_DIGITS ? typed : JSON.stringify(text);
    default: return JSON.stringify(text);
  }
}

/** The body of a query. */
export function questionBody(sql: string, parameters: readonly Parameter[]): string {
  return `{"sql":${JSON.stringify(sql)},"params":[${parameters.map(json).join(',')}]}`;
}
