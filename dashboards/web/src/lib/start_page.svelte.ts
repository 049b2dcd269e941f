/**
 * The page that opens for somebody who comes with no address: the one of their role, or the one they chose.
 * The choice is kept in this browser, for one `sub` in one tenant.
 */
import type { Claims } from './token';

/** The pages that can open first; the overview has no name. */
const PAGES = ['', 'work', 'dashboards', 'sql', 'reports'];

/**
 * Where a role begins: an analyst at the workbench, everybody else at the overview. Of several roles the one
 * with the wider view decides, and so does the overview where a token names its roles in another claim.
 */
export function homeOf(claims: Claims | null): string {
  const roles = claims?.roles ?? [];
  const isAnalyst = roles.includes('analyst') && !roles.includes('executive') && !roles.includes('admin');
  return isAnalyst ? 'sql' : '';
}

export class StartPage {
  /** The page of the role. */
  readonly home: string;
  page = $state('');
  readonly #place: string | null;

  /** Somebody without a name has no choice that could be kept apart from that of others. */
  constructor(claims: Claims | null) {
    const isNamed = claims !== null && claims.subject !== '';
    this.#place = isNamed ? `tidemark.start:${claims.tenant ?? ''}:${claims.subject}` : null;
    this.home = homeOf(claims);
    const kept = this.#place === null ? null : localStorage.getItem(this.#place);
    this.page = kept !== null && this.may(kept) ? kept : this.home;
  }

  /** Whether a page can open first. */
  may(page: string): boolean {
    return PAGES.includes(page);
  }

  choose(page: string): void {
    this.page = page;
    if (this.#place === null) return;
    try {
      if (page === this.home) localStorage.removeItem(this.#place);
      else localStorage.setItem(this.#place, page);
    } catch (error) {
      // The storage is full or switched off: the choice lasts as long as the page.
      if (!(error instanceof DOMException)) throw error;
    }
  }
}
