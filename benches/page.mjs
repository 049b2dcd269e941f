#!/usr/bin/env node
// The page in a real browser: how soon it shows figures and what it fetches for that, sixty live tiles, and
// what hours of changes leave in its memory.
//
//     benches/page.mjs [SECONDS] [MINUTES]     after `make release`; 60 and 20
//
// Starts the service on an empty folder for each part, and Chromium on the same machine. Prints Markdown. A part
// in which the page does not show in the end what the service says fails, and so does this. `TIDEMARK` names
// another binary than target/release/tidemark, `CHROMIUM` another browser than /usr/bin/chromium. What the page
// is tested with must be installed (`npm ci` in dashboards/web).
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { launch } from '../dashboards/web/tests/browser/browser.js';
import { Service, tokenOf, until } from '../dashboards/web/tests/browser/service.js';
import { customer, issued, paid, TILES, watch } from '../dashboards/web/tests/browser/tiles.js';

const [SECONDS, MINUTES] = [Number(process.argv[2] ?? 60), Number(process.argv[3] ?? 20)];
const LOADS = 20;
/** Changes a second of the part with the frames. */
const RATE = 10;
/** As often as the page asks for changes of a tile at most. */
const ROUND_MS = 200;
const QUIET_S = 10;
const CUSTOMERS = 24;
const FIRM = { id: 'harbour', name: 'Harbour & Finch', timezone: 'Europe/London', currency: 'GBP', clock: 'fixed:2026-03-31' };

process.env.TIDEMARK_BIN = process.env.TIDEMARK ?? fileURLToPath(new URL('../target/release/tidemark', import.meta.url));

const say = (text = '') => console.log(text);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
const mib = (bytes) => `${(bytes / (1 << 20)).toFixed(2)} MiB`;
const kb = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
const part = (values, share) => values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(share * values.length))];

/** Whoever signs in the page before its own scripts run. */
async function signedIn(browser, token, { before } = {}) {
  const context = await browser.newContext({ viewport: { width: 1600, height: 1000 } });
  await context.addInitScript((given) => sessionStorage.setItem('tidemark.token', given), token);
  if (before) await context.addInitScript(before);
  return context;
}

/** In the page: when its first figure has been painted, counted from the start of the navigation. */
function noteFirstFigure() {
  window.firstFigure = new Promise((resolve) => {
    const look = () => {
      if (!document.querySelector('[data-figure] .figure .figure')) return requestAnimationFrame(look);
      // The frame in which it stands is painted before the next one's task.
      requestAnimationFrame(() => setTimeout(() => resolve(performance.now())));
    };
    requestAnimationFrame(look);
  });
}

async function load(context, address) {
  const page = await context.newPage();
  await page.goto(address, { waitUntil: 'commit' });
  const figure = await page.evaluate(() => window.firstFigure);
  const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN);
  return { page, figure, paint };
}

async function firstContent() {
  const service = await Service.start();
  const browser = await launch();
  try {
    await service.createTenant(FIRM);
    await service.post(FIRM.id, ...Array.from({ length: 500 }, (_, n) => issued(`I${n}`, n % CUSTOMERS, 10 + n)));
    const token = await tokenOf('eve', 'executive', FIRM.id, 10);
    const address = `${service.address}/`;
    say('## First content\n');
    say(`${LOADS} loads of the overview each, from the start of the navigation; the service is warm.\n`);
    say('| | first paint: median | worst | first figure: median | worst |\n|---|---|---|---|---|');
    const line = (name, loads) => {
      const cells = ['paint', 'figure'].flatMap((what) => {
        const times = loads.map((one) => one[what]);
        return [part(times, 0.5), Math.max(...times)].map((ms) => `${ms.toFixed(0)} ms`);
      });
      say(`| ${name} | ${cells.join(' | ')} |`);
    };
    const cold = async () => {
      const context = await signedIn(browser, token, { before: noteFirstFigure });
      const { page, ...times } = await load(context, address);
      return { context, page, times };
    };
    // One that does not count: the browser, and not the page, begins with it.
    await (await cold()).context.close();
    const colds = [];
    for (let n = 0; n < LOADS; n += 1) {
      const { context, times } = await cold();
      colds.push(times);
      await context.close();
    }
    line('nothing of it in the browser', colds);
    const { context, page: first } = await cold();
    await first.waitForLoadState('networkidle');
    await first.close();
    const warms = [];
    for (let n = 0; n < LOADS; n += 1) {
      const { page, ...times } = await load(context, address);
      warms.push(times);
      await page.close();
    }
    line('its files in the browser', warms);
    await context.close();
    await firstLoad(browser, token, address);
  } finally {
    await browser.close();
    await service.stop();
  }
}

/** What the first load fetches, by file. */
async function firstLoad(browser, token, address) {
  const context = await signedIn(browser, token, { before: noteFirstFigure });
  const { page } = await load(context, address);
  await until('the charts are drawn', async () => (await page.locator('canvas').count()) >= 2);
  const loaded = await page.evaluate(() => performance.getEntriesByType('resource').map(({ name }) => name));
  await context.close();
  say('\n| fetched for it, charts included | bytes | gzipped |\n|---|---|---|');
  let [all, small] = [0, 0];
  for (const name of [address, ...loaded.filter((one) => /\/assets\/|\.svg$/.test(one))]) {
    const bytes = Buffer.from(await (await fetch(name)).arrayBuffer());
    const gzipped = gzipSync(bytes).length;
    [all, small] = [all + bytes.length, small + gzipped];
    say(`| ${new URL(name).pathname} | ${kb(bytes.length)} | ${kb(gzipped)} |`);
  }
  say(`| **together** | ${kb(all)} | **${kb(small)}** |\n`);
}

/** Two tiles of each customer, and twelve that every change is in. */
function tiles() {
  const invoices = (n) => ({ view: 'open_invoices', where: { customer_id: customer(n) } });
  const own = Array.from({ length: CUSTOMERS }, (_, n) => [
    {
      source: { view: 'ar_aging', where: { customer_id: customer(n) } }, title: `Owed by ${customer(n)}`,
      show: { kind: 'kpi', value: { column: 'total' }, currency: 'currency', delta: { since: 'opened' }, sparkline: 'live' },
    },
    {
      source: invoices(n), title: `Invoices of ${customer(n)}`,
      show: n % 2 === 0
        ? { kind: 'bar', by: 'bucket', values: [{ column: 'balance' }] }
        : { kind: 'table', columns: ['invoice_id', 'balance', 'days_overdue'], sort: { column: 'balance', descending: true }, limit: 8 },
    },
  ]).flat();
  const buckets = ['current', 'd1_30', 'd31_60', 'd61_90', 'd90_plus'];
  const all = [
    ['ar_aging', { kind: 'aging', buckets }], ['ar_aging', { kind: 'bar', by: 'customer_id', values: [{ column: 'total' }], limit: 10 }],
    ['ar_aging', { kind: 'kpi', value: { column: 'total' }, currency: 'currency', sparkline: 'live' }],
    ['ar_aging', { kind: 'pie', by: 'customer_id', value: { column: 'total' }, limit: 6 }],
    ['ar_aging', { kind: 'table', columns: ['customer_id', 'total'], limit: 10 }],
    ['ar_aging', { kind: 'line', by: 'customer_id', values: [{ column: 'total' }, { column: 'd1_30' }] }],
    ['open_invoices', { kind: 'pie', by: 'bucket', value: { column: 'balance' } }],
    ['open_invoices', { kind: 'stacked_bar', by: 'customer_id', values: [{ column: 'balance' }], split: 'bucket' }],
    ['open_invoices', { kind: 'kpi', value: { how: 'count' }, sparkline: 'live' }],
    ['open_invoices', { kind: 'area', by: 'due_date', values: [{ column: 'balance' }] }],
    ['open_invoices', { kind: 'gauge', value: { column: 'balance' }, target: { value: '100000' } }],
    ['open_invoices', { kind: 'calendar', day: 'due_date', value: { column: 'balance' } }],
  ].map(([view, show]) => ({ source: { view }, title: `${show.kind} of ${view}`, show }));
  const widgets = [...all, ...own].map((widget, n) => ({
    id: `w${n}`, ...widget, at: { x: (n % 6) * 2, y: Math.floor(n / 6) * 4, w: 2, h: 4 },
  }));
  assert.equal(widgets.length, TILES);
  return { schema: 1, filters: [], widgets };
}

/** The board of sixty tiles on a page, with what stands there already. */
async function withBoard(variables, work) {
  const service = await Service.start(variables);
  const browser = await launch();
  try {
    await service.createTenant(FIRM);
    await service.post(FIRM.id, ...Array.from({ length: CUSTOMERS * 4 }, (_, n) => issued(`I${n}`, n % CUSTOMERS, 100 + n)));
    const admin = await tokenOf('ada', 'admin', FIRM.id, 10);
    const { id } = await service.call('POST', '/v1/dashboards', admin, JSON.stringify({ name: 'Tiles', document: tiles() }));
    const context = await signedIn(browser, await tokenOf('eve', 'executive', FIRM.id, 10));
    const page = await context.newPage();
    const told = watch(page);
    await page.goto(`${service.address}/dashboards/${id}`);
    await until('all tiles are there', async () => (await page.locator('.widget').count()) === TILES
      && (await page.locator('.widget [aria-busy=true]').count()) === 0);
    assert.equal(await page.locator('.widget [role=alert]').count(), 0, 'each tile has its rows');
    const session = await context.newCDPSession(page);
    await work({ service, browser, page, session, told, admin });
    await isTrue(service, page, admin);
    assert.deepEqual(told.problems, []);
  } finally {
    await browser.close();
    await service.stop();
  }
}

/** In the end every customer's number is what the service says. */
async function isTrue(service, page, token) {
  const { columns, rows } = await service.call('GET', '/v1/views/ar_aging', token);
  const at = (name) => columns.findIndex((column) => column.name === name);
  const owed = new Map(rows.map((row) => [row[at('customer_id')], Number(row[at('total')])]));
  await until('the page shows what the service says', async () => {
    for (let n = 0; n < CUSTOMERS; n += 1) {
      const text = await page.locator(`[data-widget=w${12 + 2 * n}] p.figure .figure`).textContent();
      if (Number(text?.replaceAll(/[^\d.]/g, '')) !== owed.get(customer(n))) return false;
    }
    return true;
  }, 30);
}

/** Sends changes, one after another at their pace: each customer is invoiced, and pays that invoice the next time. */
class Feed {
  #service;
  #token;
  #count = 0;
  late = 0;

  constructor(service, token) {
    this.#service = service;
    this.#token = token;
  }

  #next() {
    const [n, round] = [this.#count % CUSTOMERS, Math.floor(this.#count / CUSTOMERS)];
    this.#count += 1;
    const id = `F${Math.floor(round / 2)}-${n}`;
    return round % 2 === 0 ? issued(id, n, 25) : paid(`P${id}`, id, 25);
  }

  get count() {
    return this.#count;
  }

  async send(changes) {
    const events = Array.from({ length: changes }, () => this.#next()).map(([type, data]) => ({
      specversion: '1.0', id: crypto.randomUUID(), source: '/benches', type, time: '2026-03-01T09:00:00Z', data,
    }));
    const response = await fetch(`${this.#service.address}/v1/events`, {
      method: 'POST', body: JSON.stringify(events),
      headers: { Authorization: `Bearer ${this.#token}`, 'Content-Type': 'application/cloudevents-batch+json' },
    });
    const answer = await response.json();
    assert.deepEqual(answer.rejected, [], `${response.status} ${JSON.stringify(answer)}`);
  }

  /** So many changes each time, for as long. */
  async run(seconds, everyMs, changes) {
    const began = performance.now();
    for (let n = 0; n * everyMs < seconds * 1000; n += 1) {
      const due = began + n * everyMs;
      await sleep(due - performance.now());
      this.late = Math.max(this.late, performance.now() - due);
      await this.send(changes);
    }
  }
}

async function frames() {
  say(`## ${TILES} live tiles\n`);
  say(`${TILES} tiles on one page of 1600 × 1000 pixels: two of each of ${CUSTOMERS} customers (a number with its course; bars or a table),`);
  say('and twelve of all of them, among them each kind of chart. Each change is in fourteen of them.\n');
  await withBoard({}, async ({ service, browser, page, session, admin }) => {
    await session.send('Performance.enable');
    const system = await browser.newBrowserCDPSession();
    const busy = async () => {
      const { metrics } = await session.send('Performance.getMetrics');
      return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
    };
    const processes = async () => {
      const { processInfo } = await system.send('SystemInfo.getProcessInfo');
      return new Map(processInfo.map(({ type, id, cpuTime }) => [`${type} ${id}`, cpuTime]));
    };
    await page.evaluate(() => {
      window.tasks = [];
      new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: 'longtask' });
      window.ticks = [];
      const step = (now) => {
        window.ticks.push(now);
        requestAnimationFrame(step);
      };
      requestAnimationFrame(step);
    });
    let frame = 0;
    say('| | frames | frame time | slower than 2 frames | dropped | slowest | tasks over 50 ms | main thread | renderer, other processes of the browser |');
    say('|---|---|---|---|---|---|---|---|---|');
    const measure = async (name, work) => {
      await page.evaluate(() => ([window.ticks.length, window.tasks.length] = [0, 0]));
      const [before, spentBefore, began] = [await busy(), await processes(), performance.now()];
      await work();
      const wall = (performance.now() - began) / 1000;
      const [after, spent] = [await busy(), await processes()];
      const { ticks, tasks } = await page.evaluate(() => ({ ticks: [...window.ticks], tasks: [...window.tasks] }));
      const times = ticks.slice(1).map((at, n) => at - ticks[n]);
      // The frame time is that of the machine, seen while it is quiet.
      if (frame === 0) frame = part(times, 0.5);
      const dropped = times.reduce((sum, time) => sum + Math.max(0, Math.round(time / frame) - 1), 0);
      const used = (type) => [...spent].filter(([key]) => key.startsWith('renderer') === (type === 'renderer'))
        .reduce((sum, [key, time]) => sum + time - (spentBefore.get(key) ?? 0), 0);
      const share = (seconds) => `${((100 * seconds) / wall).toFixed(0)} %`;
      say(`| ${name} | ${times.length} | ${part(times, 0.5).toFixed(1)} ms | ${times.filter((time) => time > 2 * frame).length} | ${dropped} `
        + `(${((100 * dropped) / (times.length + dropped)).toFixed(2)} %) | ${Math.max(...times).toFixed(0)} ms | ${tasks.length}${
          tasks.length > 0 ? `, at most ${Math.max(...tasks).toFixed(0)} ms` : ''} | ${share(after.TaskDuration - before.TaskDuration)} | `
        + `${share(used('renderer'))}, ${share(used('others'))} |`);
    };
    await sleep(3_000);
    await measure('no changes', () => sleep(QUIET_S * 1000));
    const feed = new Feed(service, admin);
    await feed.run(3, 1000 / RATE, 1);
    await measure(`${RATE} changes/s for ${SECONDS} s`, () => feed.run(SECONDS, 1000 / RATE, 1));
    say(`\nA change was sent ${feed.late.toFixed(0)} ms late at most. A share of 100 % is one core.\n`);
  });
}

async function heap() {
  say('## Memory over hours of changes\n');
  const everySecond = { TIDEMARK_LIMITS_STREAM_HEARTBEAT_S: '1' };
  await withBoard(everySecond, async ({ service, browser, page, session, told, admin }) => {
    await session.send('HeapProfiler.enable');
    const system = await browser.newBrowserCDPSession();
    const feed = new Feed(service, admin);
    const resident = async () => {
      const { processInfo } = await system.send('SystemInfo.getProcessInfo');
      const sizes = await Promise.all(processInfo.filter(({ type }) => type === 'renderer').map(async ({ id }) => {
        const status = await readFile(`/proc/${id}/status`, 'utf8').catch(() => '');
        return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
      }));
      return Math.max(...sizes);
    };
    const taken = [];
    const take = async (minute) => {
      await session.send('HeapProfiler.collectGarbage');
      await session.send('HeapProfiler.collectGarbage');
      const { usedSize } = await session.send('Runtime.getHeapUsage');
      const { nodes, jsEventListeners } = await session.send('Memory.getDOMCounters');
      const at = { minute, deltas: told.deltas, changes: feed.count, usedSize, nodes, jsEventListeners };
      taken.push(at);
      say(`| ${minute.toFixed(1)} | ${at.changes.toLocaleString('en')} | ${at.deltas.toLocaleString('en')} | ${mib(usedSize)} | ${nodes} | ${jsEventListeners} | ${mib(await resident())} |`);
    };
    say(`The same tiles, changed as often as the page asks for it: all customers every ${ROUND_MS} ms, with a heartbeat every second instead of every 15,`);
    say(`for ${MINUTES} minutes after a minute that does not count. The heap is what is left after two collections.\n`);
    say('| minute | changes | messages with changes | heap | nodes | listeners | memory of the renderer |\n|---|---|---|---|---|---|---|');
    await feed.run(60, ROUND_MS, CUSTOMERS);
    await take(0);
    const STEPS = 10;
    for (let step = 1; step <= STEPS; step += 1) {
      await feed.run((MINUTES * 60) / STEPS, ROUND_MS, CUSTOMERS);
      await take((MINUTES * step) / STEPS);
    }
    const [first, middle, last] = [taken[0], taken[STEPS / 2], taken[STEPS]];
    const per = (from, to) => ((to.usedSize - from.usedSize) / Math.max(1, to.deltas - from.deltas)) * 100_000;
    say(`\nFrom the beginning to the end: ${mib(last.usedSize - first.usedSize)} more over ${(last.deltas - first.deltas).toLocaleString('en')} messages `
      + `and ${(last.changes - first.changes).toLocaleString('en')} changes; in the second half ${mib(last.usedSize - middle.usedSize)}, `
      + `${kb(per(middle, last))} for 100,000 messages. A day of 10 changes a second has 864,000 changes.\n`);
  });
}

say(`${cpus().length} cores, load before ${loadavg()[0].toFixed(1)}; the service, the browser and this on the same cores.\n`);
await firstContent();
await frames();
await heap();
