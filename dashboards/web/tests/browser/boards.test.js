// Dashboards in a real browser against the real service.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { launch, open as openPage, overflow, reads, textOf, unexpected } from './browser.js';
import { Service, until } from './service.js';

/** @type {Service} */
let service;
/** @type {import('playwright-core').Browser} */
let browser;
/** The dashboards of the firm's template, by name. */
let boards = {};

const FIRM = {
  id: 'harbour', name: 'Harbour & Finch', timezone: 'Europe/London', currency: 'GBP', clock: 'fixed:2026-03-31',
  vertical: 'wholesale',
};
const invoice = (id, customer_id, amount) => ['invoicing.invoice_issued', {
  invoice_id: id, customer_id, issue_date: '2026-01-05', due_date: '2026-02-04', amount: String(amount),
}];
const owed = (page) => page.locator('[data-widget=owed] p.figure');

before(async () => {
  service = await Service.start();
  await service.createTenant(FIRM);
  const invoices = Array.from({ length: 12 }, (_, n) => invoice(`I${n}`, `C${n % 3}`, n + 1));
  await service.post(FIRM.id, ...invoices, invoice('I12', '=cmd', 3));
  const list = await service.call('GET', '/v1/dashboards', await service.token('executive', FIRM.id));
  boards = Object.fromEntries(list.dashboards.map(({ id, name }) => [name, id]));
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await service?.stop();
});

const open = async (t, { role = 'executive', path = '/dashboards', ...more } = {}) =>
  openPage(t, browser, `${service.address}${path}#token=${await service.token(role, FIRM.id)}`, more);

const receivables = () => `/dashboards/${boards['What customers owe']}`;

async function choose(page, title, entry) {
  await page.getByRole('button', { name: `What can be done with ${title}`, exact: true }).click();
  await page.locator('.menu .list').getByText(entry, { exact: true }).click();
}

async function download(page, title, entry) {
  const [file] = await Promise.all([page.waitForEvent('download'), choose(page, title, entry)]);
  return { name: file.suggestedFilename(), content: await readFile(await file.path()) };
}

const shot = async (page, name) => {
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png`, fullPage: true });
};

test('an executive finds the dashboards of the template, and a number moves as a payment arrives', async (t) => {
  const { page, complaints } = await open(t, { path: '/' });
  await page.getByRole('link', { name: 'Dashboards', exact: true }).click();
  await page.getByRole('link', { name: /^What customers owe/ }).click();
  await reads(page.locator('main h2'), 'What customers owe');
  await reads(owed(page), /^81\.00GBP/);
  await reads(page.locator('[data-widget=owed] footer'), /^As of 31 Mar 2026/);
  await shot(page, 'board');
  await service.post(FIRM.id, ['invoicing.payment_received', {
    payment_id: 'P1', invoice_id: 'I11', amount: '12', paid_on: '2026-03-30',
  }]);
  await reads(owed(page), /^69\.00GBP/);
  await reads(page.locator('[data-widget=owed] .change'), /▼ −12\.00 since \d\d:\d\d, better/);
  await until('the invoice is gone', async () => (await page.locator('[data-widget=open] tbody tr').count()) === 12);
  assert.deepEqual(unexpected(complaints), []);
});

test('a filter narrows every widget, is in the address, and a link with it leads to the same', async (t) => {
  const { page, complaints } = await open(t, { path: receivables() });
  await reads(owed(page), /^69\.00GBP/);
  await page.getByLabel('Customer', { exact: true }).fill('C0');
  await page.keyboard.press('Enter');
  await reads(owed(page), /^22\.00GBP/);
  await until('the address says it', async () => new URL(page.url()).searchParams.get('f.customer') === 'C0');
  await until('the invoices are narrowed too', async () => (await page.locator('[data-widget=open] tbody tr').count()) === 4);
  await page.reload();
  await reads(owed(page), /^22\.00GBP/);
  await page.getByLabel('Customer', { exact: true }).fill('nobody');
  await page.keyboard.press('Enter');
  await reads(page.locator('[data-widget=open] .note'), /No row is within the filters/);
  await page.getByRole('button', { name: 'Reset' }).click();
  await reads(owed(page), /^69\.00GBP/);
  assert.equal(new URL(page.url()).search, '');
  await page.goBack();
  await reads(page.locator('[data-widget=open] .note'), /No row is within the filters/);
  assert.deepEqual(unexpected(complaints), []);
});

test('a number leads to its rows, and a figure of them to its events', async (t) => {
  const { page, complaints } = await open(t, { path: `${receivables()}?f.customer=C1` });
  await reads(owed(page), /^26\.00GBP/);
  await owed(page).getByRole('link').click();
  const rows = page.locator('[data-drawer=rows]');
  await reads(rows.locator('h2'), 'Receivables');
  await reads(rows.locator('tbody'), /C1.*26\.00/);
  await reads(rows.locator('.limits'), /Customer: C1/);
  await rows.locator('td[data-column=total] button').click();
  await reads(page.locator('[data-drawer=why] h2'), 'Why is this 26.00?');
  await reads(page.locator('[data-drawer=why]'), /The events come to 26\.00/);
  await page.keyboard.press('Escape');
  await until('the rows stand there again', async () => (await page.locator('[data-drawer=why]').count()) === 0);
  await page.keyboard.press('Escape');
  await until('the dashboard stands there again', async () => (await rows.count()) === 0);
  await reads(owed(page), /^26\.00GBP/);
  assert.deepEqual(unexpected(complaints), []);
});

test('a chart is a table as well, whose lines lead to their rows', async (t) => {
  const { page, complaints } = await open(t, { path: receivables() });
  await until('it is drawn', async () => (await page.locator('[data-widget=debtors] canvas').count()) > 0);
  await choose(page, 'Largest debtors', 'Show as table');
  const table = page.locator('[data-widget=debtors] table');
  await reads(table.locator('tbody tr').first(), /^C1 ?26\.00 GBP$/);
  await table.getByRole('link', { name: 'C0', exact: true }).click();
  await reads(page.locator('[data-drawer=rows] [role=status]').first(), /^1 row/);
  await reads(page.locator('[data-drawer=rows] .limits'), /Customer: C0/);
  assert.deepEqual(unexpected(complaints), []);
});

test('a widget becomes a file and a picture', async (t) => {
  const { page, complaints } = await open(t, { path: receivables() });
  await reads(owed(page), /^69\.00GBP/);
  const csv = await download(page, 'Open invoices', 'Download CSV');
  assert.equal(csv.name, 'open-invoices-2026-03-31.csv');
  const text = csv.content.toString('utf8');
  assert.match(text, /^invoice_id,customer_id,due_date,currency,balance,days_overdue\r\n/);
  assert.match(text, /\r\nI12,'=cmd,2026-02-04,GBP,3\.0000,55\r\n/);
  await until('it is drawn', async () => (await page.locator('[data-widget=debtors] canvas').count()) > 0);
  for (const title of ['Largest debtors', 'Receivables', 'Open invoices']) {
    const picture = await download(page, title, 'Download PNG');
    assert.match(picture.name, /-2026-03-31\.png$/);
    assert.equal(picture.content.subarray(1, 4).toString('latin1'), 'PNG', title);
  }
  assert.deepEqual(unexpected(complaints), []);
});

test('every dashboard of the template shows something in each place, and complains of nothing', async (t) => {
  const { page, complaints } = await open(t);
  // Whoever leaves before the page has read its token is not signed in.
  await page.locator('header nav').waitFor();
  for (const [name, id] of Object.entries(boards)) {
    await page.goto(`${service.address}/dashboards/${id}`);
    await reads(page.locator('main h2'), name);
    await until(`${name} is there`, async () => (await page.locator('.widget [aria-busy=true]').count()) === 0
      && (await page.locator('.widget').count()) > 0);
    assert.equal(await page.locator('.widget [role=alert]').count(), 0, name);
  }
  assert.deepEqual(unexpected(complaints), []);
});

test('SQL of a dashboard is followed for analysts, with the filter in it, and kindly refused for executives', async (t) => {
  const document = {
    schema: 1,
    filters: [{ id: 'customer', title: 'Customer', type: 'text' }],
    widgets: [{
      id: 'asked', title: 'Asked', at: { x: 0, y: 0, w: 6, h: 4 },
      source: {
        sql: 'SELECT customer_id, sum(balance) AS owed FROM open_invoices WHERE customer_id = $1 GROUP BY customer_id',
        params: [{ filter: 'customer' }],
      },
      show: { kind: 'table', columns: ['customer_id', 'owed'] },
    }],
  };
  const token = await service.token('analyst', FIRM.id);
  const { id } = await service.call('POST', '/v1/dashboards', token, JSON.stringify({ name: 'Asked', document }));
  const { page, complaints } = await open(t, { role: 'analyst', path: `/dashboards/${id}?f.customer=C1` });
  await reads(page.locator('[data-widget=asked] tbody'), /C1 ?26\.00/);
  await service.post(FIRM.id, invoice('I13', 'C1', '0.50'));
  await reads(page.locator('[data-widget=asked] tbody'), /C1 ?26\.50/);
  assert.deepEqual(unexpected(complaints), []);
  const other = await open(t, { path: `/dashboards/${id}` });
  await reads(other.page.locator('[data-widget=asked] .note'), /made with SQL, which is for analysts and admins/);
  assert.deepEqual(unexpected(other.complaints), []);
});

test('a dashboard that is not there says so', async (t) => {
  const { page } = await open(t, { path: '/dashboards/nothing' });
  await reads(page.getByRole('alert'), /This dashboard is not there/);
});

test('all dashboards take their turn on a wall', async (t) => {
  const { page, complaints } = await open(t, { path: '/dashboards?rotate=5' });
  const bar = page.getByRole('group', { name: 'Dashboards in turn' });
  await reads(bar, /^1 of \d+/);
  const first = await textOf(page.locator('main h2'));
  await reads(bar, /^2 of \d+/);
  await until('another one is shown', async () => (await textOf(page.locator('main h2'))) !== first);
  assert.equal(await page.getByRole('navigation').count(), 0);
  await bar.getByRole('button', { name: 'Pause' }).click();
  await bar.getByRole('button', { name: 'Stop' }).click();
  await reads(page.locator('main h2'), 'Dashboards');
  assert.deepEqual(unexpected(complaints), []);
});

test('nothing scrolls sideways on a phone, and the dark is dark', async (t) => {
  const { page, complaints } = await open(t, { width: 360, height: 740, colorScheme: 'dark' });
  await until('they are listed', async () => (await page.locator('[data-dashboard]').count()) > 2);
  assert.equal(await overflow(page), 0);
  await page.goto(`${service.address}${receivables()}`);
  await until('it is drawn', async () => (await page.locator('[data-widget=debtors] canvas').count()) > 0);
  assert.equal(await overflow(page), 0);
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
  const ground = await page.locator('[data-widget=owed]').evaluate((widget) => getComputedStyle(widget).backgroundColor);
  assert.equal(ground, 'rgb(23, 26, 30)');
  await shot(page, 'board-phone');
  await page.getByRole('button', { name: 'What can be done with Receivables', exact: true }).click();
  assert.equal(await overflow(page), 0);
  assert.deepEqual(unexpected(complaints), []);
});
