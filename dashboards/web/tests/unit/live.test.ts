import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Backoff } from '../../src/lib/backoff';
import { Live, Refused, SILENCE_MS, type Link, type Refusal, type Socket } from '../../src/lib/live';

/** The other end of a socket, held by the test. */
class Peer implements Socket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  readonly heard: Record<string, unknown>[] = [];
  closed = false;

  send(text: string): void {
    this.heard.push(JSON.parse(text) as Record<string, unknown>);
  }

  close(): void {
    this.closed = true;
  }

  say(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

const columns = [{ name: 'k', type: 'text' }, { name: 'v', type: 'int' }];

function begin(connect?: () => Promise<Socket>) {
  const peers: Peer[] = [];
  const links: Link['state'][] = [];
  const refusals: Refusal[] = [];
  const live = new Live({
    connect: connect ?? (() => {
      const peer = new Peer();
      peers.push(peer);
      return Promise.resolve(peer);
    }),
    onlink: (link) => links.push(link.state),
    onheard: () => {},
    onrefused: (why) => refusals.push(why),
    backoff: new Backoff(1000, 8000, () => 1),
  });
  const last = () => {
    const peer = peers[peers.length - 1];
    if (!peer) throw new Error('nobody connected');
    return peer;
  };
  return { live, peers, links, refusals, last };
}

/** Lets promises that are settled be noticed. */
const settle = () => vi.advanceTimersByTimeAsync(0);

function snapshot(id: unknown, rows: unknown[], position = 'p1') {
  return { type: 'snapshot', id, position, columns, key: ['k'], rows, last: true };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('a live connection', () => {
  it('asks for changes as often as they can be read, or as rarely as it is told', async () => {
    const { live, last } = begin();
    live.follow({ view: 'pipeline' }, () => {});
    live.follow({ sql: 'SELECT 1 AS one' }, () => {}, 2_000);
    await settle();
    last().onopen?.();
    expect(last().heard.map((message) => message['max_rate_ms'])).toEqual([200, 2_000]);
  });

  it('subscribes once it is open and applies what comes', async () => {
    const { live, last, links } = begin();
    const changed = vi.fn();
    const sub = live.follow({ view: 'pipeline' }, changed);
    await settle();
    expect(last().heard).toEqual([]);
    last().onopen?.();
    expect(last().heard).toMatchObject([{ type: 'subscribe', id: sub.id, view: 'pipeline' }]);
    expect(last().heard[0]).not.toHaveProperty('resume');
    last().say(snapshot(sub.id, [['a', 1]]));
    last().say({ type: 'delta', id: sub.id, position: 'p2', changes: [[-1, ['a', 1]], [1, ['a', 2]]] });
    expect([...sub.rows.values()]).toEqual([['a', 2]]);
    expect(changed).toHaveBeenCalledTimes(2);
    expect(links).toEqual(['connecting', 'live']);
  });

  it('follows alerts, after a drop too', async () => {
    const { live, last } = begin();
    const news = vi.fn();
    live.followAlerts(news);
    await settle();
    const asked = { type: 'subscribe', id: 'alerts', alerts: true };
    last().onopen?.();
    expect(last().heard).toEqual([asked]);
    last().say({ type: 'alerts', id: 'alerts' });
    expect(news).toHaveBeenCalledTimes(1);
    last().onclose?.({ code: 1006 });
    await vi.advanceTimersByTimeAsync(1000);
    last().onopen?.();
    expect(last().heard).toEqual([asked]);
    last().say({ type: 'alerts', id: 'alerts' });
    expect(news).toHaveBeenCalledTimes(2);
  });

  it('follows SQL as it follows a view', async () => {
    const { live, last } = begin();
    const sub = live.follow({ sql: 'SELECT k, v FROM pipeline' }, () => {});
    await settle();
    last().onopen?.();
    expect(last().heard[0]).toMatchObject({ id: sub.id, sql: 'SELECT k, v FROM pipeline' });
    expect(last().heard[0]).not.toHaveProperty('view');
    last().say({ ...snapshot(sub.id, [['a', 1], ['a', 1]]), key: [] });
    last().say({ type: 'delta', id: sub.id, position: 'p2', changes: [[-1, ['a', 1]]] });
    expect([...sub.rows.values()]).toEqual([['a', 1]]);
  });

  it('resumes each subscription from its position after a drop', async () => {
    const { live, last, links, peers } = begin();
    const sub = live.follow({ view: 'pipeline' }, () => {});
    const fresh = live.follow({ view: 'headcount' }, () => {});
    await settle();
    last().onopen?.();
    last().say(snapshot(sub.id, [['a', 1]]));
    last().say({ type: 'delta', id: sub.id, position: 'p7', changes: [[1, ['b', 2]]] });
    last().onclose?.({ code: 1006 });
    expect(links.at(-1)).toBe('lost');
    expect(sub.rows.size).toBe(2);
    await vi.advanceTimersByTimeAsync(1000);
    last().onopen?.();
    expect(peers).toHaveLength(2);
    expect(last().heard).toMatchObject([{ id: sub.id, resume: 'p7' }, { id: fresh.id }]);
    expect(last().heard[1]).not.toHaveProperty('resume');
    last().say({ type: 'resumed', id: sub.id, position: 'p7' });
    last().say({ type: 'delta', id: sub.id, position: 'p8', changes: [[-1, ['a', 1]]] });
    expect([...sub.rows.values()]).toEqual([['b', 2]]);
  });

  it('waits longer after each failure, and at once when told to', async () => {
    const attempts: number[] = [];
    const { live, links } = begin(() => {
      attempts.push(Date.now());
      return Promise.reject(new TypeError('no network'));
    });
    await vi.advanceTimersByTimeAsync(1000 + 2000 + 4000 + 8000 + 8000);
    const waits = attempts.slice(1).map((at, i) => at - (attempts[i] ?? 0));
    expect(waits).toEqual([1000, 2000, 4000, 8000, 8000]);
    live.retry();
    await settle();
    expect(attempts).toHaveLength(7);
    expect(links.at(-1)).toBe('lost');
  });

  it('starts from a snapshot after a reset and keeps showing the old rows meanwhile', async () => {
    const { live, last } = begin();
    const sub = live.follow({ view: 'pipeline' }, () => {});
    await settle();
    last().onopen?.();
    last().say(snapshot(sub.id, [['a', 1]]));
    last().say({ type: 'reset', id: sub.id, reason: 'a gap' });
    expect([...sub.rows.values()]).toEqual([['a', 1]]);
    last().say(snapshot(sub.id, [['c', 3]], 'p9'));
    expect([...sub.rows.values()]).toEqual([['c', 3]]);
  });

  it('asks for a fresh snapshot when a delta does not fit', async () => {
    const { live, last } = begin();
    const sub = live.follow({ view: 'pipeline' }, () => {});
    await settle();
    last().onopen?.();
    last().say(snapshot(sub.id, [['a', 1]]));
    last().say({ type: 'delta', id: sub.id, position: 'p2', changes: [[-1, ['x', 1]]] });
    await vi.advanceTimersByTimeAsync(1000);
    last().onopen?.();
    expect(last().heard[0]).not.toHaveProperty('resume');
  });

  it('takes silence for a dead line', async () => {
    const { last, links } = begin();
    await settle();
    last().onopen?.();
    await vi.advanceTimersByTimeAsync(SILENCE_MS - 1000);
    last().say({ type: 'heartbeat', position: 'p1' });
    await vi.advanceTimersByTimeAsync(SILENCE_MS - 1000);
    expect(links.at(-1)).toBe('live');
    await vi.advanceTimersByTimeAsync(1000);
    expect(links).toContain('lost');
  });

  it('takes a ping without an answer for a dead line, and with one for a live one', async () => {
    const { live, last, links } = begin();
    await settle();
    last().onopen?.();
    live.probe();
    expect(last().heard).toEqual([{ type: 'ping' }]);
    last().say({ type: 'pong' });
    await vi.advanceTimersByTimeAsync(SILENCE_MS - 1);
    expect(links.at(-1)).toBe('live');
    live.probe();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(links.at(-1)).toBe('lost');
  });

  it('keeps a problem with its subscription and asks again when told to', async () => {
    const { live, last } = begin();
    const sub = live.follow({ view: 'nowhere' }, () => {});
    await settle();
    last().onopen?.();
    last().say({ type: 'error', id: sub.id, problem: { status: 404, title: 'Unknown view' } });
    expect(sub.problem?.status).toBe(404);
    live.resubscribe(sub);
    expect(last().heard.map((message) => message['type'])).toEqual(['subscribe', 'unsubscribe', 'subscribe']);
    last().say(snapshot(sub.id, []));
    expect(sub.problem).toBeUndefined();
  });

  it('begins anew what has ended, and says no more of the problem once it goes on', async () => {
    const { live, last } = begin();
    const changed = vi.fn();
    const sub = live.follow({ view: 'pipeline' }, changed);
    await settle();
    last().onopen?.();
    last().say(snapshot(sub.id, [['a', 1]], 'p3'));
    last().say({ type: 'error', id: sub.id, problem: { type: 'urn:tidemark:problem:unknown-view' } });
    last().onclose?.({ code: 1006 });
    await vi.advanceTimersByTimeAsync(1000);
    last().onopen?.();
    // What it held is not what it would go on from.
    expect(last().heard[0]).not.toHaveProperty('resume');
    last().say(snapshot(sub.id, [['b', 2]], 'p9'));
    expect([sub.problem, [...sub.rows.values()]]).toEqual([undefined, [['b', 2]]]);
    for (const goesOn of [{ type: 'resumed', position: 'p9' }, { type: 'delta', position: 'p10', changes: [[1, ['c', 3]]] }]) {
      sub.problem = { title: 'of before' };
      changed.mockClear();
      last().say({ ...goesOn, id: sub.id });
      expect(sub.problem, goesOn.type).toBeUndefined();
      expect(changed, goesOn.type).toHaveBeenCalledTimes(1);
    }
  });

  it('asks again by itself for what passes, less and less often, and for nothing else', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(1);
    const { live, last } = begin();
    const sub = live.follow({ view: 'own' }, () => {});
    const other = live.follow({ view: 'gone' }, () => {});
    await settle();
    last().onopen?.();
    const asked = (id: string) => last().heard.filter((message) => message['type'] === 'subscribe' && message['id'] === id).length;
    const refuse = (id: string, kind: string) => last().say({ type: 'error', id, problem: { type: `urn:tidemark:problem:${kind}` } });
    refuse(other.id, 'unknown-view');
    for (const [kind, pause] of [['view-filling', 1_000], ['no-room', 2_000], ['too-many-sql-subscriptions', 4_000], ['module-off', 16_000]] as const) {
      const before = asked(sub.id);
      refuse(sub.id, kind);
      await vi.advanceTimersByTimeAsync(pause - 1);
      // A service that is silent for so long is gone: it says that it is there.
      last().say({ type: 'heartbeat', position: 'p1' });
      expect(asked(sub.id), kind).toBe(before);
      await vi.advanceTimersByTimeAsync(1);
      expect(asked(sub.id), kind).toBe(before + 1);
    }
    last().say(snapshot(sub.id, [['a', 1]]));
    refuse(sub.id, 'view-filling');
    await vi.advanceTimersByTimeAsync(1_000);
    expect([asked(sub.id), asked(other.id)]).toEqual([6, 1]);
    refuse(sub.id, 'view-filling');
    live.unsubscribe(sub);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(asked(sub.id)).toBe(6);
  });

  it('asks again for all that have ended when there is a reason to', async () => {
    const { live, last } = begin();
    const [sub, fine] = [live.follow({ view: 'pipeline' }, () => {}), live.follow({ view: 'headcount' }, () => {})];
    await settle();
    last().onopen?.();
    last().say(snapshot(fine.id, []));
    last().say({ type: 'error', id: sub.id, problem: { type: 'urn:tidemark:problem:view-failed' } });
    const before = last().heard.length;
    live.askAgain();
    expect(last().heard.slice(before).map(({ type, id }) => [type, id])).toEqual([['unsubscribe', sub.id], ['subscribe', sub.id]]);
  });

  it('ignores what comes for a subscription that was given up, and new kinds of messages', async () => {
    const { live, last } = begin();
    const sub = live.follow({ view: 'pipeline' }, () => {});
    await settle();
    last().onopen?.();
    live.unsubscribe(sub);
    last().say(snapshot(sub.id, [['a', 1]]));
    last().say({ type: 'weather', id: sub.id });
    expect(sub.rows.complete).toBe(false);
  });

  it('ends what is left before it begins what comes, whichever was asked for first', async () => {
    const { live, last } = begin();
    const left = live.follow({ view: 'pipeline' }, () => {});
    await settle();
    last().onopen?.();
    last().heard.length = 0;
    const next = live.follow({ view: 'headcount' }, () => {});
    // Given up before anybody was asked: nobody is.
    live.unsubscribe(live.follow({ view: 'utilization' }, () => {}));
    live.unsubscribe(left);
    expect(last().heard).toEqual([]);
    await settle();
    expect(last().heard).toMatchObject([
      { type: 'unsubscribe', id: left.id }, { type: 'subscribe', id: next.id, view: 'headcount' },
    ]);
    expect(last().heard).toHaveLength(2);
  });

  it('asks once for what is begun as the line drops', async () => {
    const { live, last } = begin();
    await settle();
    last().onopen?.();
    const sub = live.follow({ view: 'pipeline' }, () => {});
    last().onclose?.({ code: 1006 });
    await vi.advanceTimersByTimeAsync(1000);
    expect(last().heard).toEqual([]);
    last().onopen?.();
    await settle();
    expect(last().heard.map((message) => message['id'])).toEqual([sub.id]);
  });

  it('ends when signing in again is the only way', async () => {
    const refusing = begin(() => Promise.reject(new Refused('expired')));
    await settle();
    expect(refusing.refusals).toEqual(['expired']);
    expect(refusing.links.at(-1)).toBe('closed');

    const closing = begin();
    await settle();
    closing.last().onopen?.();
    closing.last().onclose?.({ code: 4003 });
    expect(closing.refusals).toEqual(['expired']);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(closing.peers).toHaveLength(1);
  });
});
