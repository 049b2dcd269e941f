// Every kind of chart in a real browser against the real service: its marks lead to their rows. And what becomes
// of a dashboard while it hangs on a wall: modules, views and documents that change, turns nobody sees, paper.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, reads, textOf } from './browser.js';
import { Service, tokenOf, until } from './service.js';

/** @type {Service} */
let service;
/** @type {import('playwright-core').Browser} */
let browser;

const FIRM = { id: 'harbour', name: 'Harbour & Finch', timezone: 'Europe/London', currency: 'GBP', clock: 'fixed:2026-03-31' };
const DAY = '2026-03-02';
const STAGES = ['qualified', 'proposal', 'won'];

const opportunity = (id, stage, amount, currency) => ['crm.opportunity_opened', {
  opportunity_id: id, owner: 'ann', stage, amount: String(amount), currency,
}];
const call = (id, user_id) => ['crm.call_logged', { call_id: id, user_id, disposition: 'reached', duration_s: 60 }, `${DAY}T10:00:00Z`];
const invoice = (id, customer_id, amount) => ['invoicing.invoice_issued', {
  invoice_id: id, customer_id, issue_date: '2026-01-05', due_date: '2026-02-04', amount: String(amount),
}];

const PIPELINE = { view: 'pipeline' };
const CALLS = { view: 'call_activity' };
const amount = { column: 'amount' };
const KINDS = {
  line: [CALLS, { by: 'day', values: [{ column: 'calls' }] }],
  area: [CALLS, { by: 'day', values: [{ column: 'calls' }] }],
  calendar: [CALLS, { day: 'day', value: { column: 'calls' } }],
  stacked_bar: [PIPELINE, { by: 'stage', values: [amount], split: 'currency', currency: 'currency' }],
  pie: [PIPELINE, { by: 'stage', value: amount, currency: 'currency' }],
  funnel: [PIPELINE, { by: 'stage', value: amount, currency: 'currency', order: STAGES }],
  gauge: [{ view: 'budget_variance' }, { value: { column: 'spent' }, target: { column: 'budget' }, currency: 'currency' }],
};

before(async () => {
  service = await Service.start();
  await service.createTenant(FIRM);
  await service.post(
    FIRM.id, ...STAGES.map((stage, n) => opportunity(`E${n}`, stage, 300 - 100 * n, 'EUR')), call('L1', 'ann'), call('L2', 'bob'),
    ['governance.budget_set', { project_id: 'P1', amount: '1000', effective_date: '2026-01-01' }],
    ['governance.expense_recorded', { expense_id: 'X1', project_id: 'P1', amount: '400', spent_on: '2026-02-10' }],
    ...Array.from({ length: 6 }, (_, n) => invoice(`I${n}`, `C${n % 3}`, n + 1)),
  );
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await service?.stop();
});

async function made(name, widgets, filters = []) {
  const document = { schema: 1, filters, widgets };
  return service.call('POST', '/v1/dashboards', await tokenOf('ann', 'analyst', FIRM.id), JSON.stringify({ name, document }));
}

async function replaced({ id, name, document }) {
  const headers = {
    Authorization: `Bearer ${await tokenOf('bob', 'analyst', FIRM.id)}`, 'Content-Type': 'application/json', 'If-Match': '*',
  };
  const response = await fetch(`${service.address}/v1/dashboards/${id}`, { method: 'PUT', headers, body: JSON.stringify({ name, document }) });
  assert.equal(response.status, 200, await response.clone().text());
}

const patch = async (change) => service.call('PATCH', '/v1/tenant', await service.token('admin', FIRM.id), JSON.stringify(change));

/** Opens a page; `prepared` is done to it before it begins. */
async function open(t, path, { role = 'executive', colorScheme = 'light', prepared } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 1000 }, reducedMotion: 'reduce', colorScheme });
  t.after(() => context.close());
  const page = await context.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/status of 4\d\d/.test(message.text())) complaints.push(message.text());
  });
  await prepared?.(page);
  await page.goto(`${service.address}${path}#token=${await tokenOf(`cleo-${role}`, role, FIRM.id)}`);
  return { page, complaints };
}

const widget = (id, at, source, show, more = {}) => ({ id, title: `The ${id}`, at, source, show, ...more });
const tile = (page, id) => page.locator(`[data-widget=${id}]`);

/**
 * Where a mark in the accent is on the canvas of a widget, the lowest first, since legends stand above; the
 * deeper within its colour the better. Null while there is none.
 */
function markOf(page, id, { within = 1 } = {}) {
  return tile(page, id).evaluate((widget, part) => {
    const style = getComputedStyle(document.documentElement).getPropertyValue('--accent').trim();
    const accent = [1, 3, 5].map((at) => Number.parseInt(style.slice(at, at + 2), 16));
    const deepest = (canvas) => {
      const { width, height } = canvas;
      const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
      const isAccent = (x, y) => {
        const at = (y * width + x) * 4;
        return data[at + 3] > 250 && accent.every((shade, i) => Math.abs(data[at + i] - shade) < 12);
      };
      for (const depth of [3, 1, 0]) {
        for (let y = height - 1 - depth; y >= depth; y -= 1) {
          for (let x = depth; x < width * part - depth; x += 1) {
            const corners = [[-depth, -depth], [depth, -depth], [-depth, depth], [depth, depth], [0, 0]];
            if (!corners.every(([dx, dy]) => isAccent(x + dx, y + dy))) continue;
            const box = canvas.getBoundingClientRect();
            return { x: box.left + (x / width) * box.width, y: box.top + (y / height) * box.height };
          }
        }
      }
      return null;
    };
    // The days of a calendar have a layer of their own.
    for (const canvas of widget.querySelectorAll('canvas')) {
      const mark = deepest(canvas);
      if (mark !== null) return mark;
    }
    return null;
  }, within);
}

/** Clicks on a mark, and reads from the address which rows it leads to. */
async function drilled(page, id, options) {
  await tile(page, id).scrollIntoViewIfNeeded();
  let mark = null;
  await until(`${id} has a mark`, async () => (mark = await markOf(page, id, options)) !== null, 30);
  await page.mouse.click(mark.x, mark.y);
  await until(`${id} leads to its rows`, async () => new URL(page.url()).searchParams.get('rows') === id, 10);
  await reads(page.locator('[data-drawer=rows] [data-counted]'), /^\d+ rows?/);
  const pick = JSON.parse(new URL(page.url()).searchParams.get('pick') ?? '{}');
  await page.keyboard.press('Escape');
  await until('the dashboard stands there again', async () => (await page.locator('[data-drawer=rows]').count()) === 0);
  return pick;
}

const label = (page, id) => tile(page, id).locator('[role=img]').first().getAttribute('aria-label');

test('a mark of every kind of chart leads to its own rows, also after another currency came before it', async (t) => {
  const { id } = await made('Kinds', Object.entries(KINDS).map(([kind, [source, show]], n) =>
    widget(kind, { x: (n % 2) * 6, y: Math.floor(n / 2) * 5, w: 6, h: 5 }, source, { kind, ...show })));
  const { page, complaints } = await open(t, `/dashboards/${id}`);
  for (const kind of Object.keys(KINDS)) await until(`${kind} is drawn`, async () => (await tile(page, kind).locator('canvas').count()) > 0);

  for (const kind of ['line', 'area', 'calendar']) assert.deepEqual(await drilled(page, kind), { day: DAY }, kind);
  assert.deepEqual(await drilled(page, 'gauge'), {});
  assert.ok(STAGES.includes((await drilled(page, 'pie')).stage));

  // The firm's own currency comes first, where only another one was.
  await service.post(FIRM.id, ...STAGES.map((stage, n) => opportunity(`G${n}`, stage, 30 - 10 * n, 'GBP')));
  for (const kind of ['stacked_bar', 'pie', 'funnel']) {
    await until(`${kind} has both`, async () => /GBP/.test(await label(page, kind)) && /EUR/.test(await label(page, kind)));
  }
  for (const kind of ['pie', 'funnel']) {
    const pick = await drilled(page, kind, { within: 0.5 });
    assert.equal(pick.currency, 'GBP', kind);
    assert.ok(STAGES.includes(pick.stage), kind);
  }
  assert.deepEqual(Object.keys(await drilled(page, 'stacked_bar')).sort(), ['currency', 'stage']);
  assert.deepEqual(complaints, []);
});

test('a threshold colours the number, and says it in a word', async (t) => {
  const kpi = { kind: 'kpi', value: { column: 'spent' }, currency: 'currency' };
  const spent = { view: 'budget_variance' };
  const { id } = await made('Bounds', [
    widget('over', { x: 0, y: 0, w: 4, h: 3 }, spent, kpi, { thresholds: [{ is: 'above', value: '399', tone: 'critical' }] }),
    widget('under', { x: 4, y: 0, w: 4, h: 3 }, spent, kpi, { thresholds: [{ is: 'above', value: '400', tone: 'critical' }] }),
  ]);
  const { page } = await open(t, `/dashboards/${id}`);
  const colour = (of) => tile(page, of).locator('p.figure').evaluate((figure) => getComputedStyle(figure).color);
  await reads(tile(page, 'over').locator('p.figure'), /400\.00GBP.*critical$/);
  await reads(tile(page, 'under').locator('p.figure'), /^400\.00GBP/);
  assert.doesNotMatch(await textOf(tile(page, 'under').locator('p.figure')), /critical/);
  assert.notEqual(await colour('over'), await colour('under'));
});

test('a module that is switched off hides its figures at once, and brings them back when it is on again', async (t) => {
  const { id } = await made('Modules', [
    widget('open', { x: 0, y: 0, w: 4, h: 3 }, PIPELINE, { kind: 'kpi', value: { how: 'count' } }),
    widget('owed', { x: 4, y: 0, w: 4, h: 3 }, { view: 'ar_aging' }, { kind: 'kpi', value: { column: 'total' } }),
  ]);
  t.after(() => patch({ modules: null }));
  const { page } = await open(t, `/dashboards/${id}`);
  await reads(tile(page, 'open').locator('p.figure'), /^\d/);
  const before = await textOf(tile(page, 'open').locator('p.figure'));
  await patch({ modules: ['invoicing', 'governance'] });
  await reads(tile(page, 'open').locator('.note'), /a module that is switched off/);
  await reads(tile(page, 'owed').locator('p.figure'), /^21\.00GBP/);
  await patch({ modules: null });
  await reads(tile(page, 'open').locator('p.figure'), before, 90);
});

test('what shows nothing to a reader is not offered to them, and admins are told how much', async (t) => {
  const sql = widget('asked', { x: 0, y: 0, w: 4, h: 3 }, { sql: 'SELECT 1 AS one' }, { kind: 'kpi', value: { column: 'one' } });
  const asked = await made('Asked alone', [sql]);
  const leads = await made('Leads alone', [widget('open', { x: 0, y: 0, w: 4, h: 3 }, PIPELINE, { kind: 'kpi', value: { how: 'count' } })]);
  const is = (page, { id }) => page.locator(`[data-dashboard="${id}"]`);
  const executive = await open(t, '/dashboards');
  await until('they are listed', async () => (await is(executive.page, leads).count()) === 1);
  assert.equal(await is(executive.page, asked).count(), 0);
  t.after(() => patch({ modules: null }));
  await patch({ modules: ['invoicing', 'governance'] });
  const admin = await open(t, '/dashboards', { role: 'admin' });
  await until('they are listed', async () => (await is(admin.page, asked).count()) === 1);
  assert.equal(await is(admin.page, leads).count(), 0);
  await reads(admin.page.locator('main'), /left out: what (it shows|they show) belongs to modules that are switched off/);
  const { page } = await open(t, '/dashboards');
  await until('nothing is waited for', async () => (await page.locator('.bone').count()) === 0 && (await page.locator('main h2').count()) === 1);
  assert.doesNotMatch(await textOf(page.locator('main')), /left out/);
});

test('a filter narrows a view that was defined after the page was opened', async (t) => {
  const { page } = await open(t, '/dashboards', { role: 'analyst' });
  await until('they are listed', async () => (await page.locator('[data-dashboard]').count()) > 0);
  const token = await tokenOf('ann', 'analyst', FIRM.id);
  const view = { name: 'late', sql: 'SELECT invoice_id, customer_id, balance FROM open_invoices', key: ['invoice_id'] };
  await service.call('POST', '/v1/views', token, JSON.stringify(view));
  await until('it is filled', async () => (await service.call('GET', '/v1/views/late/status', token)).state === 'live');
  const { id } = await made(
    'Late', [widget('rows', { x: 0, y: 0, w: 6, h: 6 }, { view: 'late' }, { kind: 'table', columns: ['invoice_id', 'customer_id'] })],
    [{ id: 'customer', title: 'Customer', column: 'customer_id', type: 'text', default: 'C1' }],
  );
  const seen = page.evaluate(() => new Promise((resolve) => {
    const texts = new Set();
    const watching = new MutationObserver(() => {
      for (const cell of document.querySelectorAll('[data-widget=rows] td[data-column=customer_id]')) texts.add(cell.textContent?.trim());
    });
    watching.observe(document.body, { childList: true, subtree: true, characterData: true });
    setTimeout(() => resolve([...texts]), 4_000);
  }));
  await page.evaluate((path) => {
    history.pushState({ within: true }, '', path);
    dispatchEvent(new PopStateEvent('popstate'));
  }, `/dashboards/${id}`);
  await until('its rows are there', async () => (await tile(page, 'rows').locator('tbody tr').count()) === 2);
  assert.deepEqual(await seen, ['C1']);
});

test('a contradiction of a widget and a filter has no rows, in the widget and behind it', async (t) => {
  const { id } = await made(
    'Neither', [widget('owed', { x: 0, y: 0, w: 4, h: 3 }, { view: 'ar_aging', where: { customer_id: 'C2' } }, { kind: 'table', columns: ['customer_id'] })],
    [{ id: 'customer', title: 'Customer', column: 'customer_id', type: 'text', default: 'C1' }],
  );
  const { page } = await open(t, `/dashboards/${id}?rows=owed`);
  await reads(page.locator('[data-drawer=rows] [data-counted]'), /^0 rows/);
  assert.equal(await page.locator('[data-drawer=rows] td[data-column=customer_id]').count(), 0);
});

test('a turn that comes while nobody sees the page is taken when somebody does, under the name of the firm', async (t) => {
  const { page } = await open(t, '/dashboards?rotate=5', {
    prepared: (to) => to.addInitScript(() => {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => window.isUnseen === true });
    }),
  });
  const bar = page.getByRole('group', { name: 'Dashboards in turn' });
  await reads(bar, /^1 of \d+/);
  await page.evaluate(() => { window.isUnseen = true; });
  await page.waitForTimeout(7_000);
  await reads(bar, /^1 of \d+/, 1);
  await page.evaluate(() => { window.isUnseen = false; });
  await reads(bar, /^2 of \d+/, 4);
  await reads(page.locator('[data-wall]'), /Harbour & Finch.*As of 31 Mar 2026.*Live/);
});

test('paper has the colours of the day, at the moment it is taken', async (t) => {
  const { id } = await made('Paper', [widget('stages', { x: 0, y: 0, w: 8, h: 5 }, PIPELINE, { kind: 'bar', by: 'stage', values: [amount] })]);
  const { page } = await open(t, `/dashboards/${id}`, { colorScheme: 'dark' });
  await until('it is drawn', async () => (await markOf(page, 'stages')) !== null);
  /** Whether the bars on the canvas have the accent of the page as it is now, once `event` was told. */
  const isShaded = (event) => tile(page, 'stages').locator('canvas').first().evaluate((canvas, told) => {
    if (told) dispatchEvent(new Event(told));
    // Nothing may wait for a frame from here on.
    const style = getComputedStyle(document.documentElement).getPropertyValue('--accent').trim();
    const accent = [1, 3, 5].map((at) => Number.parseInt(style.slice(at, at + 2), 16));
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3] > 250 && accent.every((part, i) => Math.abs(data[at + i] - part) < 12)) return true;
    }
    return false;
  }, event);
  const shade = () => page.evaluate(() => document.documentElement.dataset.theme);
  assert.deepEqual([await shade(), await isShaded()], ['dark', true]);
  assert.deepEqual([await isShaded('beforeprint'), await shade()], [true, 'light']);
  await page.evaluate(() => dispatchEvent(new Event('afterprint')));
  await until('it is night again', async () => (await shade()) === 'dark' && (await isShaded()));
});

test('a change of the document is news for a while, and one that is back is shown again', async (t) => {
  const board = await made('News', [widget('owed', { x: 0, y: 0, w: 4, h: 3 }, { view: 'ar_aging' }, { kind: 'kpi', value: { column: 'total' } })]);
  const { page } = await open(t, `/dashboards/${board.id}`, { prepared: (to) => to.clock.install() });
  await reads(tile(page, 'owed').locator('p.figure'), /^21\.00GBP/);
  await replaced({ ...board, name: 'Newer' });
  await page.clock.fastForward(60_000);
  await reads(page.locator('.changed'), /Newer was changed just now/);
  await page.clock.fastForward(61_000);
  await until('it is no news any more', async () => (await page.locator('.changed').count()) === 0);

  const path = `**/v1/dashboards/${board.id}`;
  await page.route(path, (asked) => asked.fulfill({
    status: 404, contentType: 'application/problem+json', body: JSON.stringify({ status: 404, title: 'There is no such dashboard' }),
  }));
  await page.clock.fastForward(60_000);
  await reads(page.locator('main [role=alert]').first(), /This dashboard is not there/);
  await page.unroute(path);
  await page.clock.fastForward(60_000);
  await reads(page.locator('main h2'), 'Newer');
});

test('a step back takes back one field, whatever else was changed of the same number', async (t) => {
  const { id } = await made('Steps', [widget('owed', { x: 0, y: 0, w: 4, h: 3 }, { view: 'ar_aging' }, { kind: 'kpi', value: { column: 'total' } })]);
  const { page } = await open(t, `/dashboards/${id}/edit`, { role: 'analyst' });
  await page.locator('[data-take=owed]').click();
  await page.getByLabel('Number: how').selectOption('max');
  await page.getByLabel('Number: column').selectOption('current');
  await page.getByLabel('Number: called').fill('Most');
  const fields = () => Promise.all(['Number: how', 'Number: column', 'Number: called'].map((name) => page.getByLabel(name).inputValue()));
  assert.deepEqual(await fields(), ['max', 'current', 'Most']);
  const back = page.getByRole('button', { name: 'Undo', exact: true });
  await back.click();
  await until('its name is taken back alone', async () => (await fields()).join() === 'max,current,');
  await back.click();
  await until('its column is taken back alone', async () => (await fields()).join() === 'max,total,');
});

test('the sign-in is that of the firm that was there last', async (t) => {
  const { page } = await open(t, '/');
  await reads(page.locator('h1'), FIRM.name);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await reads(page.locator('[data-firm]'), /Harbour & Finch ?as last signed in here/);
});
