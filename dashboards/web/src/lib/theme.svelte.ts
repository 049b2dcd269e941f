/** Light or dark, and the firm's one colour. */
import { parseHex, readable, toHex, type Rgb } from './colour';

export type Choice = 'system' | 'light' | 'dark';

const PLACE = 'tidemark.theme';
const GROUNDS: Record<'light' | 'dark', Rgb> = { light: [255, 255, 255], dark: [23, 26, 30] };
const ACCENT: Rgb = [11, 107, 117];

function kept(): Choice {
  const choice = localStorage.getItem(PLACE);
  return choice === 'light' || choice === 'dark' ? choice : 'system';
}

class Theme {
  choice = $state<Choice>(kept());
  #systemDark = $state(false);
  #printing = $state(false);
  #brand = $state.raw<Record<'light' | 'dark', Rgb>>({ light: ACCENT, dark: ACCENT });
  reducedMotion = $state(false);
  readonly shade: 'light' | 'dark' = $derived.by(() => {
    if (this.#printing) return 'light';
    if (this.choice !== 'system') return this.choice;
    return this.#systemDark ? 'dark' : 'light';
  });
  readonly accent = $derived(
    toHex(readable(this.#brand[this.shade], GROUNDS[this.shade], this.shade === 'dark' ? 6 : 4.6)),
  );

  constructor() {
    this.#follow('(prefers-color-scheme: dark)', (on) => (this.#systemDark = on));
    this.#follow('(prefers-reduced-motion: reduce)', (on) => (this.reducedMotion = on));
    // Paper is white.
    this.#follow('print', (on) => (this.#printing = on));
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

  /** Takes the colours out of a firm's branding, if it names some. */
  brand(branding: Record<string, unknown> | null | undefined): void {
    const colours = (branding?.['colours'] ?? {}) as Record<string, unknown>;
    const light = parseHex(colours['accent'] ?? branding?.['accent']) ?? ACCENT;
    this.#brand = { light, dark: parseHex(colours['accent_dark']) ?? light };
  }

  #follow(query: string, set: (on: boolean) => void): void {
    const media = matchMedia(query);
    set(media.matches);
    media.addEventListener('change', (event) => set(event.matches));
  }
}

export const theme = new Theme();
