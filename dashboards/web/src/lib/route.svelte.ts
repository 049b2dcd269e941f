/** Which rows are open, kept in the address so that Back closes them and a link leads to them. */
import { placeOf, type Place } from './place';

export { address, projectAddress } from './place';

function read(): Place {
  return placeOf(location.pathname, location.search);
}

function here(): string {
  return location.pathname + location.search;
}

class Route {
  place = $state.raw<Place>(read());
  /** Where something is not saved: told where the way would lead, while the address stays. */
  hold: ((address: string) => void) | null = null;
  /** Whether somebody has gone from one place to another since the page was loaded. */
  isMoved = false;
  /** The address that the page shows. */
  #at = here();

  constructor() {
    addEventListener('popstate', () => {
      if (this.hold === null) return this.#move();
      const to = here();
      if (to === this.#at) return;
      history.pushState({ within: true }, '', this.#at);
      this.hold(to);
    });
  }

  go(address: string): void {
    if (this.hold !== null) return this.hold(address);
    history.pushState({ within: true }, '', address);
    this.#move();
  }

  /** Back to what stands beneath, at `address`: by the history if that is where it came from. */
  close(address = '/'): void {
    if (isWithin()) return history.back();
    this.replace(address);
  }

  /** Goes on at another address, with nothing to come back to. */
  replace(address: string): void {
    history.replaceState(null, '', address);
    this.#read();
  }

  #move(): void {
    this.isMoved = true;
    this.#read();
  }

  #read(): void {
    [this.#at, this.place] = [here(), read()];
  }

  /** Whether somebody came with no address, and not by a link of the page. */
  get isBare(): boolean {
    return location.pathname === '/' && location.search === '' && !isWithin();
  }
}

/** Whether it was the page that led here. */
function isWithin(): boolean {
  return (history.state as { within?: boolean } | null)?.within === true;
}

export const route = new Route();

/** Follows a link within the page without leaving it; keys and buttons for new tabs still work. */
export function follow(event: MouseEvent): void {
  // A sheet within the page may have followed it already.
  if (event.defaultPrevented) return;
  const link = (event.target as Element | null)?.closest('a');
  if (!link || link.origin !== location.origin || link.hasAttribute('download')) return;
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  route.go(link.pathname + link.search);
}
