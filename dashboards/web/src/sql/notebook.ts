/**
 * What this browser keeps of somebody's queries: the one being written, those that were saved under a
 * name, and those that were asked before. All of it is bounded, and read with care: it is text that
 * anything may have written.
 */
import { LANGUAGE } from '../lib/units';
import { KINDS, type Kind, type Parameter } from './parameters';

export interface Question {
  sql: string;
  params: Parameter[];
}

export interface Saved extends Question {
  name: string;
  at: number;
}

export interface Asked extends Question {
  at: number;
  outcome: 'done' | 'failed' | 'cancelled';
  rows: number | null;
  /** How long it took, in milliseconds. */
  took: number;
}

export interface Notebook {
  draft: Question;
  saved: Saved[];
  /** The newest first. */
  asked: Asked[];
}

export const EMPTY: Notebook = { draft: { sql: '', params: [] }, saved: [], asked: [] };

export const MOST_SAVED = 200;
export const MOST_ASKED = 200;
/** Of all of it, as text; browsers give a site about five million characters. */
export const MOST_TEXT = 1_000_000;

/** With one more that was asked; the same one again takes the place of the last. */
export function withAsked(book: Notebook, asked: Asked): Notebook {
  const [last] = book.asked;
  const before = last && isSame(last, asked) ? book.asked.slice(1) : book.asked;
  return { ...book, asked: [asked, ...before].slice(0, MOST_ASKED) };
}

export function isSame(a: Question, b: Question): boolean {
  return a.sql === b.sql && JSON.stringify(a.params) === JSON.stringify(b.params);
}

/** With a query under a name, in the place of the one that has it; null where there is no room. */
export function withSaved(book: Notebook, saved: Saved): Notebook | null {
  const others = book.saved.filter(({ name }) => name !== saved.name);
  if (others.length >= MOST_SAVED) return null;
  return { ...book, saved: [...others, saved].sort((a, b) => a.name.localeCompare(b.name, LANGUAGE)) };
}

export function withoutSaved(book: Notebook, name: string): Notebook {
  return { ...book, saved: book.saved.filter((saved) => saved.name !== name) };
}

/** As text within the bound, for which the oldest that were asked are forgotten; null if it is too much. */
export function written(book: Notebook, most = MOST_TEXT): string | null {
  let asked = book.asked;
  for (;;) {
    const text = JSON.stringify({ ...book, asked });
    if (text.length <= most) return text;
    if (asked.length === 0) return null;
    asked = asked.slice(0, Math.floor(asked.length / 2));
  }
}

export function read(text: string | null): Notebook {
  if (text === null) return EMPTY;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Cut off, or not of this page: begun anew.
    return EMPTY;
  }
  const book = record(value);
  const list = (of: unknown) => (Array.isArray(of) ? of : []);
  return {
    draft: question(book['draft']) ?? EMPTY.draft,
    saved: list(book['saved']).flatMap((one) => saved(one) ?? []).slice(0, MOST_SAVED),
    asked: list(book['asked']).flatMap((one) => asked(one) ?? []).slice(0, MOST_ASKED),
  };
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function question(value: unknown): Question | null {
  const { sql, params } = record(value);
  if (typeof sql !== 'string') return null;
  const list = Array.isArray(params) ? params : [];
  return {
    sql,
    params: list.slice(0, 100).map((one) => {
      const { kind, text } = record(one);
      const isKnown = KINDS.includes(kind as Kind);
      return { kind: isKnown ? (kind as Kind) : 'auto', text: typeof text === 'string' ? text : '' };
    }),
  };
}

function saved(value: unknown): Saved | null {
  const { name, at } = record(value);
  const of = question(value);
  return of && typeof name === 'string' && typeof at === 'number' ? { ...of, name, at } : null;
}

const OUTCOMES = ['done', 'failed', 'cancelled'] as const;

function asked(value: unknown): Asked | null {
  const { at, outcome, rows, took } = record(value);
  const of = question(value);
  const known = OUTCOMES.find((one) => one === outcome);
  if (!of || !known || typeof at !== 'number' || typeof took !== 'number') return null;
  return { ...of, at, outcome: known, rows: typeof rows === 'number' ? rows : null, took };
}
