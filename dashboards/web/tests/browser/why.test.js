// From a figure to the events behind it, which add up to it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { figure, launch, open as openPage, reads, textOf } from './browser.js';
import { Service, until } from './service.js';

/** @type {Service} */
let service;
/** @type {import('playwright-core').Browser} */
let browser;

const FIRM = { id: 'harbour', name: 'Harbour & Finch', timezone: 'Europe/London', currency: 'GBP', clock: 'fixed:2026-03-31' };
const invoice = (id, customer, amount, about = {}) => ['invoicing.invoice_issued', {
  invoice_id: id, customer_id: customer, issue_date: '2026-01-05', due_date: '2026-02-04', amount, ...about,
}];
const payment = (id, invoice_id, amount) =>
  ['invoicing.payment_received', { payment_id: id, invoice_id, amount, paid_on: '2026-03-30' }];
const HISTORY = [
  invoice('I1', 'Nordlicht', '41000.10', { project_id: 'P1' }),
  payment('PAY1', 'I1', '2500.05'),
  ['invoicing.credit_issued', { credit_id: 'CR1', invoice_id: 'I1', amount: '0.05', issued_on: '2026-03-30' }],
  invoice('I2', 'Nordlicht', '2703.00', { due_date: '2026-04-30' }),
  ['projects.project_created', { project_id: 'P1', name: 'Terminal refit' }],
  ['hr.employee_onboarded', { employee_id: 'E1', department: 'Engineering', hourly_cost: '33.3333', start_date: '2025-01-01' }],
  ['hr.time_logged', { entry_id: 'T1', employee_id: 'E1', project_id: 'P1', work_date: '2026-02-02', hours: '7.75', billable: true }],
  ['hr.time_logged', { entry_id: 'T2', employee_id: 'E1', project_id: 'P1', work_date: '2026-02-03', hours: '8', billable: false }],
  ['hr.time_corrected', { entry_id: 'T2', hours: '6.5' }, '2026-03-02T09:00:00Z'],
  ['governance.expense_recorded', { expense_id: 'X1', project_id: 'P1', amount: '120.40', spent_on: '2026-02-10' }],
  ['crm.opportunity_opened', { opportunity_id: 'O1', owner: 'ada', stage: 'proposal', amount: '80000' }],
  ['tasks.task_assigned', { task_id: 'Safety walk', user_id: 'mira', cadence: 'daily', start_date: '2026-03-29' }],
  ['tasks.task_completed', { completion_id: 'C1', task_id: 'Safety walk', user_id: 'mira', completed_on: '2026-03-29' }],
  ['tasks.task_completed', { completion_id: 'C2', task_id: 'Safety walk', user_id: 'mira', completed_on: '2026-03-30' }],
  ['inventory.product_added', { product_id: 'S1', name: 'Hex bolt', reorder_point: '100' }],
  ['inventory.stock_received', { movement_id: 'M1', product_id: 'S1', warehouse: 'main', quantity: '60', unit_cost: '2.5' }],
  ['inventory.stock_issued', { movement_id: 'M2', product_id: 'S1', warehouse: 'main', quantity: '12.5', unit_cost: '2.5', project_id: 'P1' }],
];

before(async () => {
  service = await Service.start();
  await service.createTenant(FIRM);
  await service.post(FIRM.id, ...HISTORY);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await service?.stop();
});

const open = async (t, path = '/', size = {}) =>
  openPage(t, browser, `${service.address}${path}#token=${await service.token('executive', FIRM.id)}`, size);

const sheet = (page) => page.locator('[data-drawer=why]');
const title = (page) => sheet(page).locator('h2');
const events = (page) => sheet(page).locator('[data-event]');
const isClosed = (page) => until('the events are closed', async () => (await sheet(page).count()) === 0);
const cell = (page, row, column) =>
  page.locator('[data-drawer=rows] tbody tr', { hasText: row }).locator(`td[data-column=${column}]`);

/** An amount as it is read, in hundred-millionths. */
function exact(text) {
  const match = /^([+−-]?)([\d,]+)(?:\.(\d{1,8}))?$/.exec(text);
  assert.ok(match, `"${text}" is an amount`);
  const value = BigInt(match[2].replaceAll(',', '') + (match[3] ?? '').padEnd(8, '0'));
  return match[1] === '' || match[1] === '+' ? value : -value;
}

const listed = async (page) => (await sheet(page).locator('[data-amount]').allTextContents())
  .reduce((sum, text) => sum + exact(text), 0n);

/** The amounts that are listed come to the figure, and so does the last total. */
async function addsUpTo(page, text) {
  await reads(sheet(page).locator('[data-sum]'), text);
  assert.equal(await listed(page), exact(text), 'the listed amounts add up to the figure');
  assert.equal(await textOf(sheet(page).locator('[data-so-far]').last()), text);
  assert.equal(await sheet(page).locator('[data-agrees]').getAttribute('data-agrees'), 'true');
}

test('a figure leads to its events, which add up to it, and follows what comes', async (t) => {
  const { page, complaints } = await open(t, '/customers');
  const total = cell(page, 'Nordlicht', 'total');
  await reads(total, '41,203.00');
  await total.locator('button').click();
  await reads(title(page), 'Why is this 41,203.00?');
  await reads(sheet(page).locator('header'), /Total · Nordlicht · GBP 4 events, as of 31 Mar 2026/);
  await addsUpTo(page, '41,203.00');
  await reads(events(page).filter({ hasText: 'Payment' }), /1 Mar 2026, 09:00.*Payment.*PAY1.*−2,500\.05/);
  await reads(events(page).filter({ hasText: 'I2' }), /Invoice.*Due 30 Apr 2026.*\+2,703\.00/);
  // The list stands as it was asked for, says that it is not the latest, and is brought up to it.
  await service.post(FIRM.id, payment('PAY2', 'I1', '1203'));
  await reads(sheet(page).locator('.old p'), 'It has changed since: it is 40,000.00 now.');
  await addsUpTo(page, '41,203.00');
  await sheet(page).getByRole('button', { name: 'Show it as it is now' }).click();
  await reads(title(page), 'Why is this 40,000.00?');
  await addsUpTo(page, '40,000.00');
  assert.equal(await events(page).count(), 5);
  assert.equal(await sheet(page).locator('.old').count(), 0);
  // A reload leads back to it, and so does a link; what is beneath is there too.
  await page.reload();
  await reads(title(page), 'Why is this 40,000.00?');
  await page.keyboard.press('Escape');
  await isClosed(page);
  assert.equal(page.url(), `${service.address}/customers`);
  await reads(total, '40,000.00');
  assert.deepEqual(complaints, []);
});

test('a file has all the events', async (t) => {
  const { page } = await open(t, '/hours');
  await cell(page, 'P1', 'hours').locator('button').click();
  await addsUpTo(page, '14.25');
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    sheet(page).getByRole('button', { name: 'Download CSV' }).click(),
  ]);
  assert.equal(download.suggestedFilename(), 'labour-hours-hours-p1.csv');
  const { readFile } = await import('node:fs/promises');
  const lines = (await readFile(await download.path(), 'utf8')).trim().split('\r\n');
  assert.match(lines[0], /^part,type,event_id,occurred_at,subject,amount/);
  assert.equal(lines.length, 4);
});

test('the keys alone lead there and back', async (t) => {
  const { page, complaints } = await open(t);
  const total = page.locator('[data-panel=debtors] li').first().locator('button');
  const expected = await textOf(total.locator('.figure'));
  await page.locator('[data-panel=debtors] header a').focus();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim());
  assert.equal(await focused(), expected);
  await page.keyboard.press('Enter');
  await addsUpTo(page, expected);
  await page.keyboard.press('Escape');
  await until('everything is closed', async () => (await page.locator('dialog').count()) === 0);
  assert.equal(page.url(), `${service.address}/`);
  await until('the figure has the focus again', async () => (await focused()) === expected);
  // Within the rows a sheet closes to the rows.
  await page.goto(`${service.address}/projects`);
  const profit = cell(page, 'Terminal refit', 'profit').locator('button');
  await reads(profit, /\d/);
  const name = await textOf(profit);
  // Rows show money to the cent, the sheet with all places.
  const why = 'Why is this 40,373.4005?';
  await profit.focus();
  await page.keyboard.press('Space');
  await reads(title(page), why);
  await page.keyboard.press('Escape');
  await isClosed(page);
  await until('the figure has the focus again', async () => (await focused()) === name);
  await page.goForward();
  await reads(title(page), why);
  await page.goBack();
  await isClosed(page);
  assert.deepEqual(complaints, []);
});

for (const table of ['customers', 'invoices', 'projects', 'pipeline', 'routines', 'stock', 'departments', 'hours']) {
  test(`every figure of ${table} is what its events come to`, async (t) => {
    const { page, complaints } = await open(t, `/${table}`);
    const figures = page.locator('[data-drawer=rows] tbody tr').first().locator('td button');
    await until('figures are there', async () => (await figures.count()) > 0);
    const count = await figures.count();
    for (let n = 0; n < count; n += 1) {
      await figures.nth(n).click();
      await reads(sheet(page).locator('[data-agrees]'), /the same as the figure\.$/);
      const sum = sheet(page).locator('[data-sum]');
      const rounding = await sheet(page).locator('tbody tr', { hasText: 'Rounding' }).locator('td.number').allTextContents();
      if ((await sum.count()) > 0) {
        const amounts = rounding.reduce((all, text) => all + exact(text.trim()), await listed(page));
        assert.equal(amounts, exact(await textOf(sum)), await textOf(title(page)));
      }
      await page.keyboard.press('Escape');
      await isClosed(page);
    }
    assert.deepEqual(complaints, []);
  });
}

test('a long list shows its beginning and what follows comes to, and then more', async (t) => {
  await service.post(FIRM.id, ...Array.from({ length: 130 }, (_, n) => invoice(`L${n}`, 'Many', '1.01')));
  const { page, complaints } = await open(t, '/customers');
  await cell(page, 'Many', 'total').locator('button').click();
  await reads(title(page), 'Why is this 131.30?');
  await until('the first hundred are listed', async () => (await events(page).count()) === 100);
  assert.equal(await listed(page), exact('101.00'));
  await reads(sheet(page).locator('tbody tr').last(), /30 later events\s*\+30\.30/);
  await sheet(page).getByRole('button', { name: 'Show more events' }).click();
  await until('all are listed', async () => (await events(page).count()) === 130);
  await addsUpTo(page, '131.30');
  assert.deepEqual(complaints, []);
});

test('what has no events, no row, or no service says so', async (t) => {
  const { page, complaints } = await open(t, '/customers');
  await cell(page, 'Nordlicht', 'd61_90').locator('button').click();
  await reads(title(page), 'Why is this 0.00?');
  await reads(sheet(page).locator('.none'), 'No event counts here.');
  await page.keyboard.press('Escape');
  await isClosed(page);
  await cell(page, 'Nordlicht', 'total').locator('button').click();
  await reads(sheet(page).locator('[data-agrees]'), /the same as the figure/);
  await service.kill();
  await reads(sheet(page).locator('[data-link]'), /^Connection lost/);
  await sheet(page).getByRole('button', { name: 'Update' }).click();
  await reads(sheet(page).getByRole('alert'), /cannot be reached/);
  assert.ok((await events(page).count()) > 0, 'what was there stays');
  await service.up();
  await sheet(page).getByRole('button', { name: 'Try again' }).click();
  await until('the problem is gone', async () => (await sheet(page).getByRole('alert').count()) === 0);
  const nobody = new URLSearchParams({ why: 'total', of: '{"customer_id":"Nobody","currency":"GBP"}' });
  await page.goto(`${service.address}/customers?${nobody}`);
  await reads(sheet(page).getByRole('alert'), /This figure is not there any more/);
  const away = /ERR_CONNECTION|ERR_EMPTY_RESPONSE|WebSocket connection|status of (503|404)/;
  assert.deepEqual(complaints.filter((text) => !away.test(text)), []);
});

test('it fits a phone, the dark and a sheet of paper', async (t) => {
  const { page, complaints } = await open(t, '/customers', { width: 360, height: 740 });
  await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' });
  await cell(page, 'Nordlicht', 'total').locator('button').click();
  await reads(sheet(page).locator('[data-agrees]'), /the same as the figure/);
  const beyond = (selector) => page.locator(selector).evaluate((e) => e.scrollWidth - e.clientWidth);
  assert.equal(await beyond('html'), 0);
  assert.equal(await beyond('[data-drawer=why] .scroll'), 0, 'nothing is cut off at the side');
  assert.equal(await beyond('[data-drawer=why] table'), 0);
  const [ground, ink] = await sheet(page).evaluate((e) => [getComputedStyle(e).backgroundColor, getComputedStyle(e).color]);
  const light = (colour) => /\d+/.exec(colour.replace('rgb(', ''))?.[0] ?? '';
  assert.ok(Number(light(ground)) < 60 && Number(light(ink)) > 200, `${ink} on ${ground}`);
  await page.emulateMedia({ media: 'print' });
  assert.equal(await page.locator('main').isVisible(), false, 'the list is printed alone');
  assert.equal(await page.locator('[data-drawer=rows]').isVisible(), false);
  assert.equal(await events(page).first().isVisible(), true);
  assert.deepEqual(complaints, []);
});
