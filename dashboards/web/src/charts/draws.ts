/** Charts are drawn one after another, as many in a frame as fit: however many change at once, the page goes on. */

/** The milliseconds of a frame that drawing may take; one chart is drawn in any case. */
const BUDGET_MS = 8;

/** In the order in which they asked; one that asks again keeps its turn. */
const waiting = new Set<() => void>();
let frame = 0;

export function drawSoon(draw: () => void): void {
  waiting.add(draw);
  if (frame === 0) frame = requestAnimationFrame(drawSome);
}

export function drawNoMore(draw: () => void): void {
  waiting.delete(draw);
}

function drawSome(): void {
  const end = performance.now() + BUDGET_MS;
  frame = 0;
  for (const draw of waiting) {
    waiting.delete(draw);
    // The others have their turn whatever becomes of this one.
    if (waiting.size > 0 && frame === 0) frame = requestAnimationFrame(drawSome);
    draw();
    if (performance.now() >= end) return;
  }
  cancelAnimationFrame(frame);
  frame = 0;
}
