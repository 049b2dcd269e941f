/** Whoever goes to another page begins at its content, with the keys and in what is read out. */
import { route } from './route.svelte';

/** Gives the focus to the content of the page where what had it is gone with the page before. */
export function arrive(main: HTMLElement | null = document.querySelector('main')): void {
  const hasNone = document.activeElement === null || document.activeElement === document.body;
  if (route.isMoved && hasNone) main?.focus({ preventScroll: true });
}
