/**
 * The page that opens for somebody who comes with no address: the overview, or the one they chose. The
 * choice is kept in this browser, for one `sub` in one tenant.
 */
import type { Claims } from './token';

/** The pages that can open first besides the overview, which has no name. */
const PAGES = ['sql', 'reports'];

export class StartPage {
  page = $state('');
  readonly #place: string | null;

  /** Somebody without a name has no choice that could be kept apart from that of others. */
  constructor(claims: Claims | null) {
    const isNamed = claims !== null && claims.subject !== '';
    this.#place = isNamed ? `tidemark.start:${claims.tenant ?? ''}:${claims.subject}` : null;
    const kept = this.#place === null ? null : localStorage.getItem(this.#place);
    if (kept !== null && PAGES.includes(kept)) this.page = kept;
  }

  /** Whether a page can open first. */
  may(page: string): boolean {
    return page === '' || PAGES.includes(page);
  }

  choose(page: string): void {
    this.page = page;
    if (this.#place === null) return;
    try {
      if (page === '') localStorage.removeItem(this.#place);
      else localStorage.setItem(this.#place, page);
    } catch (error) {
      // The storage is full or switched off: the choice lasts as long as the page.
      if (!(error instanceof DOMException)) throw error;
    }
  }
}
