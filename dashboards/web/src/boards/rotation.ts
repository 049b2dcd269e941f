/** Dashboards in turn, as on a wall. */

/** For how long each can be shown, in seconds. */
export const SECONDS = [15, 30, 60, 300] as const;
const LEAST = 5;
const MOST = 3_600;

/** How long an address says that each is shown; null where it asks for no turning. */
export function secondsOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  const seconds = /^\d{1,5}$/.test(text) ? Number(text) : SECONDS[1];
  return Math.min(MOST, Math.max(LEAST, seconds));
}

/** The one that is shown after the one at `place`, in either direction; round and round. */
export function turned(place: number, of: number, step: 1 | -1): number {
  return of === 0 ? 0 : (place + step + of) % of;
}
