/** Places in SQL: the line and column of a problem, and what stands there. */

export interface Span {
  from: number;
  to: number;
}

/** The offset of a line and a column, both from 1; the column counts characters, not code units. */
export function offsetOf(text: string, line: number, column: number): number {
  let start = 0;
  for (let passed = 1; passed < line; passed += 1) {
    const end = text.indexOf('\n', start);
    if (end < 0) return text.length;
    start = end + 1;
  }
  let offset = start;
  for (const character of text.slice(start)) {
    if (character === '\n' || offset - start >= 1_000_000) break;
    column -= 1;
    if (column <= 0) break;
    offset += character.length;
  }
  return offset;
}

/** The word, the quoted name or the sign at a place; what is before it where the text ends there. */
export function wordAt(text: string, offset: number): Span {
  const found = /^(?:"(?:[^"]|"")*"|'(?:[^']|'')*'|[\p{L}\p{N}_$]+|\S)/u.exec(text.slice(offset));
  if (found) return { from: offset, to: offset + found[0].length };
  const before = /\S\s*$/u.exec(text.slice(0, offset));
  return before ? { from: before.index, to: before.index + 1 } : { from: 0, to: Math.min(1, text.length) };
}

/** The line and the column of an offset, both from 1. */
export function placeOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  const start = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: [...before.slice(start)].length + 1 };
}
