/** Which rows are open, kept in the address so that Back closes them and a link leads to them. */
import type { Cell } from './protocol';

export interface Place {
  /** The name in the address, `invoices`; empty for the overview. */
  page: string;
  /** Column → value that the rows are limited to. */
  where: Record<string, string>;
}

function read(): Place {
  return {
    page: decodeURIComponent(location.pathname.replace(/^\/+|\/+$/g, '')),
    where: Object.fromEntries(new URLSearchParams(location.search)),
  };
}

class Route {
  place = $state.raw<Place>(read());

  constructor() {
    addEventListener('popstate', () => (this.place = read()));
  }

  go(address: string): void {
    history.pushState({ within: true }, '', address);
    this.place = read();
  }

  /** Back to the overview: by the history if that is where it came from. */
  close(): void {
    if ((history.state as { within?: boolean } | null)?.within === true) return history.back();
    history.replaceState(null, '', '/');
    this.place = read();
  }
}

export const route = new Route();

export function address(page: string, where: Record<string, Cell> = {}): string {
  const query = new URLSearchParams();
  for (const [column, value] of Object.entries(where)) query.set(column, String(value ?? ''));
  const text = query.toString();
  return text === '' ? `/${page}` : `/${page}?${text}`;
}

/** Follows a link within the page without leaving it; keys and buttons for new tabs still work. */
export function follow(event: MouseEvent): void {
  const link = (event.target as Element | null)?.closest('a');
  if (!link || link.origin !== location.origin || link.hasAttribute('download')) return;
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  route.go(link.pathname + link.search);
}
