/** The language of the page, and the small words that stand beside figures in every part of it. */

/** By which names are sorted, and figures are written where no firm is; a firm's are by its locale. */
export const LANGUAGE = 'en-GB';

export const units = {
  /** How long something has been. */
  now: 'now',
  seconds: (n: number) => `${n} s`,
  minutes: (n: number) => `${n} min`,
  hours: (n: number) => `${n} h`,
  days: (n: number) => (n === 1 ? '1 day' : `${n} days`),
  /** How long something took. */
  milliseconds: (n: string) => `${n} ms`,
  took: (seconds: string) => `${seconds} s`,
  tookMinutes: (minutes: number, seconds: number) => `${minutes} min ${seconds} s`,
  /** Of figures that are written short, from the largest. */
  trillion: 'tn', billion: 'bn', million: 'm', thousand: 'k',
  bytes: ['B', 'KiB', 'MiB', 'GiB', 'TiB'],
};
