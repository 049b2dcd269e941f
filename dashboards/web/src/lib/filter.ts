/** A filter that is typed over a list: words, each of which is to be found, in any case. */

export function wordsOf(filter: string): readonly string[] {
  return filter.toLowerCase().split(/\s+/).filter((word) => word !== '');
}

/** Whether all of them are found. */
export function hasAll(text: string, words: readonly string[]): boolean {
  const lower = text.toLowerCase();
  return words.every((word) => lower.includes(word));
}
