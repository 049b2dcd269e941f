// The page while its line is down: what it says meanwhile, and what it shows afterwards without a reload.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { figure, launch, open, overflow, reads, textOf } from './browser.js';
import { Line } from './line.js';
import { Service, until } from './service.js';

/** @type {Service} */
let service;
/** @type {import('playwright-core').Browser} */
let browser;

const firm = (id) => ({ id, name: 'Harbour & Finch', timezone: 'Europe/London', currency: 'GBP', clock: 'fixed:2026-03-31' });
const invoice = (id, amount, about = {}) => ['invoicing.invoice_issued', {
  invoice_id: id, customer_id: 'Nordlicht', issue_date: '2026-01-05', due_date: '2026-02-04', amount, ...about,
}];
/** What the browser itself notes of calls that could not be made, or came while the service was not ready. */
const AWAY = /ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_INTERNET_DISCONNECTED|ERR_NETWORK|WebSocket connection|status of 503/;

before(async () => {
  service = await Service.start();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await service?.stop();
});

/** A firm that is owed 300, and its page by a line that the test holds, or straight. */
async function begin(t, id, { line, path = '/', ...size } = {}) {
  await service.createTenant(firm(id));
  await service.post(id, invoice('A1', '100'), invoice('A2', '200', { customer_id: 'Bluewater' }));
  const address = (line ?? service).address;
  const opened = await open(t, browser, `${address}${path}#token=${await service.token('executive', id)}`, size);
  await reads(figure(opened.page, 'receivables'), '300.00GBP');
  await opened.page.evaluate(() => (window.standing = true));
  return opened;
}

async function endsWell(page, complaints) {
  assert.equal(await page.evaluate(() => window.standing), true, 'the page was not loaded again');
  assert.deepEqual(complaints.filter((text) => !AWAY.test(text)), []);
}

test('killed and started again, the service is counted with by a page that stayed open', async (t) => {
  const { page, complaints } = await begin(t, 'killed');
  const sent = Array.from({ length: 40 }, (_, n) => invoice(`B${n}`, '10.01'));
  await Promise.all([
    // Neither waits for the page: the service dies and comes back with events on their way.
    service.deliver('killed', ...sent),
    (async () => {
      await until('some of them show', async () => (await textOf(figure(page, 'receivables'))) !== '300.00GBP');
      await service.kill();
      await reads(page.locator('[data-link]'), /^Connection lost Figures are from \d\d:\d\d:\d\d/);
      await service.up();
    })(),
  ]);
  await reads(page.locator('[data-link]'), /^Live/);
  await reads(figure(page, 'receivables'), '700.40GBP');
  await reads(page.locator('[data-panel=debtors] li').first(), /^Nordlicht 500\.40/);
  await page.locator('[data-figure=overdue]').click();
  await reads(page.locator('[data-drawer=rows] header p'), /^42 rows/);
  await endsWell(page, complaints);
});

test('a laptop that slept says so, and shows the right figures again once it is awake', async (t) => {
  const line = await Line.to(service.address);
  t.after(() => line.close());
  const { page, context, complaints } = await begin(t, 'asleep', { line });
  line.die();
  await context.setOffline(true);
  await reads(page.locator('[data-link]'), /^Connection lost Figures are from \d\d:\d\d:\d\d/, 60);
  await service.post(
    'asleep', invoice('A3', '1000.50'), ['invoicing.invoice_voided', { invoice_id: 'A1' }],
    ['invoicing.payment_received', { payment_id: 'P1', invoice_id: 'A2', amount: '50.25', paid_on: '2026-03-30' }],
  );
  // It does not know better, and says that it does not.
  await reads(figure(page, 'receivables'), '300.00GBP');
  await reads(page.locator('[data-link]'), /^Connection lost/);
  assert.match(await page.locator('main').getAttribute('class') ?? '', /\b(ageing|old)\b/, 'the figures fade');
  line.revive();
  await context.setOffline(false);
  await reads(page.locator('[data-link]'), /^Live/);
  await reads(figure(page, 'receivables'), '1,150.25GBP');
  await reads(page.locator('[data-panel=debtors] li').first(), /^Nordlicht 1,000\.50/);
  await reads(page.locator('[data-panel=debtors] li').nth(1), /^Bluewater 149\.75/);
  await service.post('asleep', invoice('A4', '0.75'));
  await reads(figure(page, 'receivables'), '1,151.00GBP');
  await endsWell(page, complaints);
});

test('rows that cover the page of a phone say that the line is down', async (t) => {
  const { page, complaints } = await begin(t, 'covered', { width: 360, height: 740 });
  await page.locator('[data-panel=debtors] header a').click();
  const rows = page.locator('[data-drawer=rows]');
  await until('two customers are listed', async () => (await rows.locator('tbody tr').count()) === 2);
  assert.equal(await rows.locator('[data-link]').count(), 0);
  await service.kill();
  await reads(rows.locator('[data-link]'), /^Connection lost/);
  assert.equal(await overflow(page), 0, 'it fits');
  await service.up();
  await until('it is gone', async () => (await rows.locator('[data-link]').count()) === 0);
  await service.post('covered', invoice('A5', '7'));
  await reads(rows.locator('tfoot'), /307\.00/);
  await endsWell(page, complaints);
});

test('the page that the documentation gives follows a stream, and goes on after a break', async (t) => {
  const text = await readFile(new URL('../../../../docs/live.md', import.meta.url), 'utf8');
  const example = /```html\n(.*?)```/s.exec(text)?.[1];
  assert.ok(example, 'docs/live.md has an example');
  await service.createTenant(firm('followed'));
  await service.post('followed', invoice('A1', '100'));
  const context = await browser.newContext();
  t.after(() => context.close());
  // It comes by the address of the service, as behind a proxy.
  await context.route('**/live.html', (route) => route.fulfill({ contentType: 'text/html', body: example }));
  const page = await context.newPage();
  await page.goto(`${service.address}/live.html#${await service.token('executive', 'followed')}`);
  await reads(page.locator('tr'), /Nordlicht.*100\.0000/);
  await service.post('followed', invoice('A2', '200', { customer_id: 'Bluewater' }));
  await until('there are two customers', async () => (await page.locator('tr').count()) === 2);
  await service.kill();
  await service.up();
  await service.post('followed', ['invoicing.payment_received', { payment_id: 'P1', invoice_id: 'A1', amount: '40', paid_on: '2026-03-30' }]);
  await reads(page.locator('tr', { hasText: 'Nordlicht' }), /60\.0000/);
  await reads(page.locator('tr', { hasText: 'Bluewater' }), /200\.0000/);
});
