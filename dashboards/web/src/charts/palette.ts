/** The page's colours, for what is drawn on a canvas. */
export interface Palette {
  ink: string;
  ink2: string;
  ink3: string;
  line: string;
  surface: string;
  accent: string;
  bar: string;
  bar2: string;
  warn: string;
  bad: string;
  good: string;
}

export function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  return {
    ink: colour('--ink'), ink2: colour('--ink-2'), ink3: colour('--ink-3'),
    line: colour('--line-strong'), surface: colour('--surface'), accent: colour('--accent'),
    bar: colour('--bar'), bar2: colour('--bar-2'), warn: colour('--warn-fill'),
    bad: colour('--bad-fill'), good: colour('--good-fill'),
  };
}

export const FONT = "'Inter Variable', system-ui, sans-serif";
