/**
 * The JSON answer of a query, read while it comes.
 *
 * In: pieces of `{"columns":[…],"rows":[[…],…],"position":"…","as_of":"…"}`, cut anywhere. Out: the
 * columns once they are known, and whole rows as they come. Whole numbers of more than 15 digits, which
 * a float may not hold, come as text with all their digits.
 */
import type { Column, Row } from './protocol';

const QUOTE = 34;
const BACKSLASH = 92;
const OPEN = 91;
const CLOSE = 93;
const ROWS = /"rows"\s*:\s*\[/;
/** Digits that a number keeps for certain. */
const EXACT = 15;

/** The answer ended before it was whole, or is none. */
export class Unreadable extends TypeError {}

export class AnswerRows {
  columns: readonly Column[] | null = null;
  /** What stands behind the rows; known at the end. */
  asOf: string | null = null;
  #text = '';
  #isOver = false;

  /** The rows that are whole now. */
  push(piece: string): Row[] {
    this.#text += piece;
    if (this.columns === null && !this.#readHead()) return [];
    return this.#isOver ? [] : this.#readRows();
  }

  /** Called at the end; throws where something is missing. */
  finish(): void {
    if (!this.#isOver) throw new Unreadable('the answer broke off');
    const tail = parse(`{"rows":[${this.#text}`) as { as_of?: string | null };
    this.asOf = tail.as_of ?? null;
  }

  #readHead(): boolean {
    // A quote within a name stands behind a backslash, so this is no part of one.
    const found = ROWS.exec(this.#text);
    if (!found) return false;
    const head = parse(`${this.#text.slice(0, found.index)}"rows":[]}`) as { columns?: Column[] };
    this.columns = head.columns ?? [];
    this.#text = this.#text.slice(found.index + found[0].length);
    return true;
  }

  #readRows(): Row[] {
    const text = this.#text;
    let [depth, first, end] = [0, -1, 0];
    let [isText, digits, longest] = [false, 0, 0];
    for (let at = 0; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (isText) {
        if (code === BACKSLASH) at += 1;
        else if (code === QUOTE) isText = false;
        continue;
      }
      digits = code >= 48 && code <= 57 ? digits + 1 : 0;
      if (digits > longest) longest = digits;
      if (code === QUOTE) {
        isText = true;
      } else if (code === OPEN) {
        if (depth === 0 && first < 0) first = at;
        depth += 1;
      } else if (code === CLOSE) {
        if (depth === 0) {
          this.#isOver = true;
          const rows = first < 0 ? [] : parseRows(text.slice(first, end), longest > EXACT);
          this.#text = text.slice(at);
          return rows;
        }
        depth -= 1;
        if (depth === 0) end = at + 1;
      }
    }
    if (first < 0 || end === 0) return [];
    this.#text = text.slice(end);
    return parseRows(text.slice(first, end), longest > EXACT);
  }
}

function parseRows(text: string, hasLong: boolean): Row[] {
  const whole = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
  const exact = hasLong
    ? text.replaceAll(whole, (token) => (/^-?\d{16,}$/.test(token) ? `"${token}"` : token))
    : text;
  return parse(`[${exact}]`) as Row[];
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Unreadable('the answer cannot be read', { cause: error });
  }
}
