/**
 * Changes that are not saved, kept in this tab: a sign-in that ends, or a page that is read anew, does
 * not lose them. They are one person's in one tenant, and are gone with the tab.
 */
import type { Dashboard } from '../api';
import type { Draft } from './change';

export interface Kept {
  /** The dashboard that they are changes of, as it was read. */
  base: Dashboard;
  draft: Draft;
}

export interface Whose {
  tenant: string;
  subject: string;
}

const placeOf = ({ tenant, subject }: Whose, id: string) => `tidemark.board:${tenant}:${subject}:${id}`;

export function keep(whose: Whose, kept: Kept, storage: Storage = sessionStorage): void {
  try {
    storage.setItem(placeOf(whose, kept.base.id), JSON.stringify(kept));
  } catch (error) {
    // Where there is no room they last as long as the page, which asks before it is left.
    if (!(error instanceof DOMException)) throw error;
  }
}

export function forget(whose: Whose, id: string, storage: Storage = sessionStorage): void {
  storage.removeItem(placeOf(whose, id));
}

export function recall(whose: Whose, id: string, storage: Storage = sessionStorage): Kept | null {
  const text = storage.getItem(placeOf(whose, id));
  if (text === null) return null;
  try {
    const kept = JSON.parse(text) as Partial<Kept> | null;
    const isWhole = kept?.base?.id === id && Array.isArray(kept.base.document?.widgets)
      && typeof kept.draft?.name === 'string' && Array.isArray(kept.draft.document?.widgets);
    return isWhole ? (kept as Kept) : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
