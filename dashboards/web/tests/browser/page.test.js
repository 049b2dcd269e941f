// The page in a real browser against the real service.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { figure, launch, open as openPage, reads } from './browser.js';
import { expiredToken, Service, until } from './service.js';

/** @type {Service} */
let service;
/** @type {import('playwright-core').Browser} */
let browser;

const FIRM = { id: 'harbour', name: 'Harbour & Finch', timezone: 'Europe/London', currency: 'GBP', clock: 'fixed:2026-03-31' };
const HISTORY = [
  ['invoicing.invoice_issued', { invoice_id: 'I1', customer_id: 'Nordlicht', project_id: 'P1', issue_date: '2026-01-05', due_date: '2026-02-04', amount: '10000.10' }],
  ['invoicing.invoice_issued', { invoice_id: 'I2', customer_id: 'Bluewater', issue_date: '2026-03-20', due_date: '2026-04-19', amount: '2500.20' }],
  ['invoicing.invoice_issued', { invoice_id: 'I3', customer_id: 'Bluewater', issue_date: '2025-11-01', due_date: '2025-12-01', amount: '700' }],
  ['invoicing.invoice_issued', { invoice_id: 'I4', customer_id: 'Delta', issue_date: '2026-03-01', due_date: '2026-04-30', amount: '333', currency: 'EUR' }],
  ['projects.project_created', { project_id: 'P1', name: 'Terminal refit' }],
  ['hr.employee_onboarded', { employee_id: 'E1', department: 'Engineering', hourly_cost: '50', start_date: '2025-01-01' }],
  ['hr.time_logged', { entry_id: 'T1', employee_id: 'E1', project_id: 'P1', work_date: '2026-02-02', hours: '40', billable: true }],
  ['crm.opportunity_opened', { opportunity_id: 'O1', owner: 'ada', stage: 'proposal', amount: '80000' }],
  ['tasks.task_assigned', { task_id: 'Safety walk', user_id: 'mira', cadence: 'daily', start_date: '2026-03-30' }],
  ['tasks.task_completed', { completion_id: 'C1', task_id: 'Safety walk', user_id: 'mira', completed_on: '2026-03-30' }],
  ['inventory.product_added', { product_id: 'S1', name: 'Hex bolt', reorder_point: '100' }],
  ['inventory.stock_received', { movement_id: 'M1', product_id: 'S1', warehouse: 'main', quantity: '60', unit_cost: '2' }],
];

before(async () => {
  service = await Service.start();
  await service.createTenant(FIRM);
  await service.createTenant({ id: 'fresh', name: 'Fresh Start', timezone: 'UTC', currency: 'USD', clock: 'wall' });
  await service.post(FIRM.id, ...HISTORY);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await service?.stop();
});

const open = (t, { token, path = '/', ...size } = {}) =>
  openPage(t, browser, `${service.address}${path}${token ? `#token=${token}` : ''}`, size);

test('the overview shows the firm, its figures and the state of the line', async (t) => {
  const { page, complaints } = await open(t, { token: await service.token('executive', FIRM.id) });
  await reads(page.locator('h1'), 'Harbour & Finch');
  await reads(figure(page, 'receivables'), '13,200.30GBP');
  await reads(figure(page, 'overdue'), '10,700.10GBP');
  await reads(figure(page, 'profit'), '8,000.10GBP');
  await reads(figure(page, 'pipeline'), '80,000.00GBP');
  await reads(page.locator('[data-link]'), /^Live/);
  await reads(page.locator('header').first(), /As of 31 Mar 2026/);
  await reads(page.locator('[data-panel=aging] [role=img]'), '');
  const aging = await page.locator('[data-panel=aging] [role=img]').getAttribute('aria-label');
  assert.equal(aging, 'Not yet due: 2,500.20 GBP; 1–30 days: 0.00 GBP; 31–60 days: 10,000.10 GBP; 61–90 days: 0.00 GBP; Over 90 days: 700.00 GBP');
  await reads(page.locator('[data-panel=debtors] li').first(), /^Nordlicht 10,000\.10/);
  await reads(page.locator('[data-panel=projects] tbody tr').first(), /Terminal refit.*8,000.*80%/);
  await reads(page.locator('[data-panel=streaks] li').first(), /mira · Safety walk 1 .*a record/);
  await reads(page.locator('[data-panel=stock] li').first(), /Hex bolt 60 of 100 in main/);
  await reads(page.locator('[data-panel=people] .hero'), /^1 people/);
  await reads(page.locator('[data-panel=hours] .hero'), /^40 hours ?100% billable/);
  assert.deepEqual(complaints, []);
});

test('a posted payment changes the chart and the figures without a reload', async (t) => {
  const { page, complaints } = await open(t, { token: await service.token('executive', FIRM.id) });
  await reads(figure(page, 'overdue'), '10,700.10GBP');
  await until('the chart is drawn', () => page.locator('[data-panel=aging] canvas').count().then((n) => n > 0));
  await page.evaluate(() => (window.standing = true));
  // Its bars in the order of the buckets, by the height of what is painted in each fifth.
  const heights = () => page.locator('[data-panel=aging] canvas').evaluate((canvas) => {
    const { width, height } = canvas;
    const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
    return [0, 1, 2, 3, 4].map((fifth) => {
      const x = Math.round(((fifth + 0.5) * width) / 5) - Math.round(width / 20);
      let painted = 0;
      for (let y = 0; y < height; y += 1) if (data[(y * width + x) * 4 + 3] > 200) painted += 1;
      return painted;
    });
  });
  await until('the bar of 31–60 days stands', async () => (await heights())[2] > 100);
  const before = await heights();
  await service.post(FIRM.id, ['invoicing.payment_received', { payment_id: 'PAY1', invoice_id: 'I1', amount: '9000.05', paid_on: '2026-03-30' }]);
  await reads(figure(page, 'overdue'), '1,700.05GBP');
  await reads(figure(page, 'receivables'), '4,200.25GBP');
  await reads(page.locator('[data-figure=receivables] .change'), /^−9,000\.05 since \d\d:\d\d/);
  await reads(page.locator('[data-panel=debtors] li').first(), /^Bluewater 3,200\.20/);
  await until('the bar of 31–60 days is shorter', async () => (await heights())[2] < before[2] / 2 + 40);
  await until('the bar of what is not due is the highest', async () => {
    const [current, , late] = await heights();
    return current > late;
  });
  assert.equal(await page.evaluate(() => window.standing), true, 'the page was not loaded again');
  // Looking at the canvas is what the browser advises about here.
  assert.deepEqual(complaints.filter((text) => !text.includes('getImageData')), []);
});

test('the token leaves the address, stays in the tab and goes at sign-out', async (t) => {
  const { page } = await open(t, { token: await service.token('executive', FIRM.id) });
  await reads(page.locator('h1'), 'Harbour & Finch');
  assert.equal(page.url(), `${service.address}/`);
  // What outlives the tab is how the firm looks.
  assert.doesNotMatch(await page.evaluate(() => JSON.stringify({ ...localStorage })), /eyJ/);
  await page.reload();
  await reads(page.locator('h1'), 'Harbour & Finch');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await reads(page.locator('h1'), 'Sign in');
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
});

test('tokens that do not hold lead back to the sign-in with a sentence', async (t) => {
  const { page } = await open(t, { token: await expiredToken(FIRM.id) });
  await reads(page.getByRole('alert'), /expired/);
  const field = page.getByLabel('Access token');
  const good = await service.token('executive', FIRM.id);
  for (const [token, sentence] of [
    ['hello', /not an access token/],
    [await service.token('service', FIRM.id), /may not read figures/],
    [await service.token('executive', 'nobody'), /was refused/],
    [`${good.slice(0, -6)}${good.endsWith('AAAAAA') ? 'BBBBBB' : 'AAAAAA'}`, /was refused/],
  ]) {
    await field.fill(token);
    await field.press('Enter');
    await reads(page.getByRole('alert'), sentence);
  }
  await field.fill(`  Bearer ${good}\n`);
  await page.getByRole('button', { name: 'Open the overview' }).click();
  await reads(page.locator('h1'), 'Harbour & Finch');
});

test('an empty firm is told what would fill each tile', async (t) => {
  const { page, complaints } = await open(t, { token: await service.token('executive', 'fresh') });
  await reads(figure(page, 'receivables'), '0.00USD');
  await reads(page.locator('[data-panel=aging] .body'), /issued invoice shows here/);
  for (const panel of ['debtors', 'projects', 'pipeline', 'streaks', 'stock', 'people', 'hours']) {
    await reads(page.locator(`[data-panel=${panel}] .body`), /show/);
  }
  await service.post('fresh', ['invoicing.invoice_issued', { invoice_id: 'F1', customer_id: 'First', issue_date: '2026-03-01', due_date: '2026-03-02', amount: '12.34' }]);
  await reads(figure(page, 'receivables'), '12.34USD');
  await reads(page.locator('[data-panel=debtors] li').first(), /^First 12\.34/);
  assert.deepEqual(complaints, []);
});

test('currencies are shown one at a time and never added', async (t) => {
  const { page } = await open(t, { token: await service.token('executive', FIRM.id) });
  await reads(figure(page, 'receivables'), /GBP$/);
  await page.getByLabel('Currency').selectOption('EUR');
  await reads(figure(page, 'receivables'), '333.00EUR');
});

test('every tile leads to its rows: sorted, filtered, downloaded, closed', async (t) => {
  const { page, complaints } = await open(t, { token: await service.token('executive', FIRM.id) });
  await page.locator('[data-figure=overdue]').click();
  const rows = page.locator('dialog tbody tr');
  await until('four invoices are listed', async () => (await rows.count()) === 4);
  await reads(rows.first(), /^I3Bluewater/);
  await page.getByRole('button', { name: 'Balance' }).click();
  await reads(rows.first(), /^I2Bluewater/);
  await page.keyboard.press('/');
  await page.keyboard.type('delta');
  await until('one is left', async () => (await rows.count()) === 1);
  await reads(page.locator('dialog header p'), /^1 of 4 rows/);
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Download CSV' }).click(),
  ]);
  assert.equal(download.suggestedFilename(), 'open_invoices-2026-03-31.csv');
  await page.keyboard.press('Escape');
  await until('the rows are closed', async () => (await page.locator('dialog').count()) === 0);
  for (const panel of ['aging', 'debtors', 'projects', 'streaks', 'pipeline', 'stock', 'people', 'hours']) {
    await page.locator(`[data-panel=${panel}] header a`).click();
    await until(`the rows of ${panel} are listed`, async () => (await rows.count()) > 0);
    await page.goBack();
    await until('the rows are closed', async () => (await page.locator('dialog').count()) === 0);
  }
  // A bar leads to the invoices of its age; the link is kept by a reload.
  await page.locator('[data-bucket=d90_plus]').evaluate((link) => link.click());
  await until('one invoice is listed', async () => (await rows.count()) === 1);
  await page.reload();
  await reads(rows.first(), /^I3Bluewater/);
  assert.deepEqual(complaints, []);
});

for (const width of [360, 390, 768, 1024]) {
  test(`nothing scrolls sideways at ${width} pixels`, async (t) => {
    const { page, complaints } = await open(t, { token: await service.token('executive', FIRM.id), width, height: 740 });
    await reads(figure(page, 'receivables'), /GBP$/);
    await until('the charts are drawn', () => page.locator('canvas').count().then((n) => n >= 2));
    const overflow = () => page.evaluate(() => ({
      page: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      wide: [...document.querySelectorAll('main *')]
        .filter((e) => !e.closest('.unseen') && e.getBoundingClientRect().right > innerWidth + 1)
        .map((e) => e.className || e.tagName),
      narrow: [...document.querySelectorAll('main h2')].filter((e) => e.clientHeight > 48).length,
    }));
    assert.deepEqual(await overflow(), { page: 0, wide: [], narrow: 0 });
    await page.locator('[data-panel=debtors] header a').click();
    await until('rows are listed', async () => (await page.locator('dialog tbody tr').count()) > 0);
    assert.equal((await overflow()).page, 0);
    const rest = await page.locator('dialog .scroll').evaluate((e) => e.scrollWidth - e.clientWidth);
    if (width < 640) assert.equal(rest, 0, 'the few columns of a phone fit');
    assert.deepEqual(complaints, []);
  });
}

test('the page says that the line is down, and recovers with the service', async (t) => {
  const { page, complaints } = await open(t, { token: await service.token('executive', FIRM.id) });
  await reads(figure(page, 'pipeline'), '80,000.00GBP');
  await service.kill();
  await reads(page.locator('[data-link]'), /^Connection lost Figures are from \d\d:\d\d:\d\d/);
  await reads(figure(page, 'pipeline'), '80,000.00GBP');
  await service.up();
  await reads(page.locator('[data-link]'), /^Live/);
  await service.post(FIRM.id, ['crm.opportunity_opened', { opportunity_id: 'O2', owner: 'ada', stage: 'proposal', amount: '0.5' }]);
  await reads(figure(page, 'pipeline'), '80,000.50GBP');
  await reads(page.locator('[data-panel=pipeline] li').first(), /^Proposal 80,001 2 open/);
  // While the service was away, or not ready yet, the browser notes each attempt that failed.
  const away = /ERR_CONNECTION|ERR_EMPTY_RESPONSE|WebSocket connection|status of 503/;
  assert.deepEqual(complaints.filter((text) => !away.test(text)), []);
});

test('the page keeps within its policy and its size', async (t) => {
  const response = await fetch(service.address);
  assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'self'/);
  const { page } = await open(t, { token: await service.token('executive', FIRM.id) });
  await until('the charts are drawn', () => page.locator('canvas').count().then((n) => n >= 2));
  const loaded = await page.evaluate(() => performance.getEntriesByType('resource').map((e) => [e.name, e.decodedBodySize]));
  const foreign = loaded.filter(([name]) => !name.startsWith(`${service.address}/`));
  assert.deepEqual(foreign, [], 'nothing comes from elsewhere');
  const { gzipSync } = await import('node:zlib');
  // What only some pages need is fetched with them.
  for (const later of [/codemirror/, /SqlPage/, /EditPage/, /ReportsPage/, /DashboardsPage/, /SettingsPage/, /WorkPage/]) {
    assert.doesNotMatch(loaded.map(([name]) => name).join(' '), later);
  }
  let size = 0;
  for (const [name] of loaded.filter(([name]) => name.includes('/assets/'))) {
    size += gzipSync(Buffer.from(await (await fetch(name)).arrayBuffer())).length;
  }
  assert.ok(size > 50_000 && size < 500_000, `the first load is ${size} bytes gzipped`);
});

