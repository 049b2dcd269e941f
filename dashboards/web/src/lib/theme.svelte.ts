/** Light or dark, and the firm's one colour. */
import { flushSync } from 'svelte';
import { accentOf, brandOf, type Brand, type Shade } from './branding';

export type Choice = 'system' | 'light' | 'dark';

const PLACE = 'tidemark.theme';

function kept(): Choice {
  const choice = localStorage.getItem(PLACE);
  return choice === 'light' || choice === 'dark' ? choice : 'system';
}

class Theme {
  choice = $state<Choice>(kept());
  #systemDark = $state(false);
  #printing = $state(false);
  #colours = $state.raw<Brand['colours']>(brandOf(null).colours);
  reducedMotion = $state(false);
  readonly shade: Shade = $derived.by(() => {
    if (this.#printing) return 'light';
    if (this.choice !== 'system') return this.choice;
    return this.#systemDark ? 'dark' : 'light';
  });
  readonly accent = $derived(accentOf(this.#colours, this.shade));

  constructor() {
    this.#follow('(prefers-color-scheme: dark)', (on) => (this.#systemDark = on));
    this.#follow('(prefers-reduced-motion: reduce)', (on) => (this.reducedMotion = on));
    // Paper is white.
    this.#follow('print', (on) => (this.#printing = on));
    // What is drawn for it is drawn while this is told: the page must have its colours by then.
    addEventListener('beforeprint', () => flushSync(() => (this.#printing = true)));
    addEventListener('afterprint', () => (this.#printing = false));
    $effect.root(() => {
      $effect(() => {
        document.documentElement.dataset['theme'] = this.shade;
        document.documentElement.style.setProperty('--accent', this.accent);
      });
    });
  }

  next(): void {
    const order: Choice[] = ['system', 'light', 'dark'];
    this.choice = order[(order.indexOf(this.choice) + 1) % order.length] ?? 'system';
    if (this.choice === 'system') localStorage.removeItem(PLACE);
    else localStorage.setItem(PLACE, this.choice);
  }

  /** Takes the colours of a firm's branding, if it names some. */
  brand({ colours }: Brand): void {
    this.#colours = colours;
  }

  #follow(query: string, set: (on: boolean) => void): void {
    const media = matchMedia(query);
    set(media.matches);
    media.addEventListener('change', (event) => set(event.matches));
  }
}

export const theme = new Theme();
