import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { drawNoMore, drawSoon } from '../../src/charts/draws';
import { Sums } from '../../src/lib/folds';
import { Rows } from '../../src/lib/rows';
import { Shared } from '../../src/lib/shared';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const LINGER_MS = 1_000;

function begin(most = 3) {
  const ended: string[] = [];
  const shared = new Shared<{ name: string; isSound: boolean }>({
    most, lingerMs: LINGER_MS, isKept: ({ isSound }) => isSound, end: ({ name }) => ended.push(name),
  });
  const take = (name: string, isSound = true) => shared.take(name, () => ({ name, isSound }));
  return { shared, ended, take };
}

describe('what several hold', () => {
  it('is one for all of them, and stays until the last has left and a while more', () => {
    const { ended, take } = begin();
    const [first, second] = [take('a'), take('a')];
    expect(second.value).toBe(first.value);
    first.stop();
    first.stop();
    vi.advanceTimersByTime(10 * LINGER_MS);
    expect(ended).toEqual([]);
    second.stop();
    vi.advanceTimersByTime(LINGER_MS - 1);
    const third = take('a');
    expect(third.value).toBe(first.value);
    vi.advanceTimersByTime(10 * LINGER_MS);
    expect(ended).toEqual([]);
    third.stop();
    vi.advanceTimersByTime(LINGER_MS);
    expect(ended).toEqual(['a']);
    expect(take('a').value).not.toBe(first.value);
  });

  it('makes room: what was left first goes first, and what is held never', () => {
    const { ended, take } = begin(3);
    const held = ['a', 'b', 'c'].map((name) => take(name));
    held[1]?.stop();
    held[0]?.stop();
    take('d');
    expect(ended).toEqual(['b']);
    take('e');
    expect(ended).toEqual(['b', 'a']);
    take('f');
    expect(ended).toEqual(['b', 'a']);
    // Beyond the bound nothing is kept for later.
    held[2]?.stop();
    expect(ended).toEqual(['b', 'a', 'c']);
  });

  it('is not kept where it is not sound, nor after the end', () => {
    const { shared, ended, take } = begin();
    take('a', false).stop();
    expect(ended).toEqual(['a']);
    const [held, left] = [take('b'), take('c')];
    left.stop();
    shared.close();
    held.stop();
    vi.advanceTimersByTime(10 * LINGER_MS);
    expect(ended).toEqual(['a']);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('sums that are not wanted any more', () => {
  it('are left as they are', () => {
    const rows = new Rows();
    const columns = [{ name: 'k', type: 'text' }, { name: 'v', type: 'decimal' }];
    rows.snapshot({ type: 'snapshot', id: 's', position: 'p1', columns, key: ['k'], rows: [['a', '1.0000']], last: true });
    const sums = rows.fold(new Sums({ sums: ['v'] }));
    rows.unfold(sums);
    rows.delta([[1, ['b', '2.0000']]], 'p2');
    expect(sums.group().sums['v']).toBe(10_000n);
    expect(rows.fold(new Sums({ sums: ['v'] })).group().sums['v']).toBe(30_000n);
  });
});

describe('charts', () => {
  /** Frames that come when they are told to. */
  let frames: (() => void)[] = [];
  beforeEach(() => {
    frames = [];
    vi.stubGlobal('requestAnimationFrame', (frame: () => void) => frames.push(frame));
    vi.stubGlobal('cancelAnimationFrame', (number: number) => {
      frames[number - 1] = () => {};
    });
  });
  afterEach(() => void vi.unstubAllGlobals());

  const next = () => {
    const due = frames;
    frames = [];
    for (const frame of due) frame();
  };

  it('are drawn once a frame at most, each in its turn, and not all in one frame', () => {
    const drawn: string[] = [];
    const draws = ['a', 'b', 'c'].map((name) => () => {
      drawn.push(name);
      // A chart that takes a while.
      vi.advanceTimersByTime(20);
    });
    for (const draw of [...draws, ...draws]) drawSoon(draw);
    expect(frames).toHaveLength(1);
    next();
    expect(drawn).toEqual(['a']);
    if (draws[1]) drawNoMore(draws[1]);
    next();
    expect(drawn).toEqual(['a', 'c']);
    next();
    expect(frames).toEqual([]);
    if (draws[0]) drawSoon(draws[0]);
    next();
    expect(drawn).toEqual(['a', 'c', 'a']);
  });

  it('have their turns although one of them fails', () => {
    const drawn: string[] = [];
    drawSoon(() => {
      throw new Error('cannot be drawn');
    });
    drawSoon(() => drawn.push('b'));
    expect(next).toThrow('cannot be drawn');
    next();
    expect(drawn).toEqual(['b']);
  });
});
