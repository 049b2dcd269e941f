/** What may not have room for all that is in it: where it does not, it can be reached and scrolled by keys. */

/** What can be reached within it scrolls it too. */
const REACHED = 'a[href], button:not([disabled]), input, select, textarea, [tabindex="0"]';

/**
 * `name` is read out where it is reached. With null it is left alone: what moves all the time would have it
 * measured all the time.
 */
export function scrolled(box: HTMLElement, name: string | null): { update: (name: string | null) => void; destroy: () => void } {
  let named = name;
  const look = () => {
    const isCut = box.scrollHeight > box.clientHeight + 1 || box.scrollWidth > box.clientWidth + 1;
    if (named !== null && isCut && box.querySelector(REACHED) === null) {
      box.tabIndex = 0;
      box.setAttribute('role', 'region');
      box.setAttribute('aria-label', named);
    } else {
      for (const attribute of ['tabindex', 'role', 'aria-label']) box.removeAttribute(attribute);
    }
  };
  const sizes = new ResizeObserver(look);
  const contents = new MutationObserver(look);
  const watch = () => {
    sizes.disconnect();
    contents.disconnect();
    look();
    if (named === null) return;
    sizes.observe(box);
    contents.observe(box, { childList: true, subtree: true, characterData: true });
  };
  watch();
  return {
    update(next) {
      if (next === named) return;
      named = next;
      watch();
    },
    destroy() {
      sizes.disconnect();
      contents.disconnect();
    },
  };
}
