/** The notebook of one person in one tenant, in this browser's storage and the same in all its tabs. */
import {
  EMPTY, isSame, read, withAsked, withoutSaved, withSaved, written,
  type Asked, type Notebook, type Question, type Saved,
} from './notebook';

/** The draft is written down once so long nothing was typed. */
const PAUSE_MS = 400;

export class DeskNotebook {
  book = $state.raw<Notebook>(EMPTY);
  /** Whether the storage refused it: then it lasts as long as the page. */
  isLost = $state(false);
  readonly #place: string;
  readonly #listeners = new AbortController();
  #writing: ReturnType<typeof setTimeout> | undefined;

  constructor(tenant: string, subject: string) {
    this.#place = `tidemark.queries:${tenant}:${subject}`;
    this.book = read(localStorage.getItem(this.#place));
    const { signal } = this.#listeners;
    addEventListener('storage', (event) => {
      if (event.key !== this.#place && event.key !== null) return;
      // Each tab goes on with its own draft.
      this.book = { ...read(event.newValue), draft: this.book.draft };
    }, { signal });
    addEventListener('pagehide', () => this.#write(), { signal });
  }

  get draft(): Question {
    return this.book.draft;
  }

  set draft(draft: Question) {
    if (isSame(draft, this.book.draft)) return;
    this.book = { ...this.book, draft };
    clearTimeout(this.#writing);
    this.#writing = setTimeout(() => this.#write(), PAUSE_MS);
  }

  note(asked: Asked): void {
    this.#change((book) => withAsked(book, asked));
  }

  /** Whether there was room for it. */
  save(saved: Saved): boolean {
    return this.#change((book) => withSaved(book, saved));
  }

  forget(name: string): void {
    this.#change((book) => withoutSaved(book, name));
  }

  clear(): void {
    this.#change((book) => ({ ...book, asked: [] }));
  }

  close(): void {
    this.#write();
    this.#listeners.abort();
  }

  /** What another tab has written meanwhile stays. */
  #change(change: (book: Notebook) => Notebook | null): boolean {
    const base = this.isLost ? this.book : { ...read(localStorage.getItem(this.#place)), draft: this.book.draft };
    const changed = change(base);
    if (changed === null) return false;
    this.book = changed;
    this.#write();
    return true;
  }

  #write(): void {
    clearTimeout(this.#writing);
    const text = written(this.book);
    if (text === null) {
      this.isLost = true;
      return;
    }
    try {
      localStorage.setItem(this.#place, text);
      this.isLost = false;
    } catch (error) {
      // The storage is full or switched off.
      if (!(error instanceof DOMException)) throw error;
      this.isLost = true;
    }
  }
}
