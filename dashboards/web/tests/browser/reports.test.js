// The pages for reports in a real browser against the real service.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { launch, open as openPage, overflow, reads, unexpected } from './browser.js';
import { Service, until } from './service.js';

/** @type {Service} */
let service;
/** @type {import('playwright-core').Browser} */
let browser;

const FIRM = { id: 'harbour', name: 'Harbour & Finch', timezone: 'Europe/London', currency: 'GBP', clock: 'fixed:2026-03-31' };

before(async () => {
  // Without a mail server no report may be sent by mail; none is sent here.
  service = await Service.start({ TIDEMARK_SMTP_URL: 'smtp://127.0.0.1:9', TIDEMARK_SMTP_FROM: 'figures@harbour.example' });
  await service.createTenant(FIRM);
  await service.post(FIRM.id, ...Array.from({ length: 12 }, (_, n) => ['invoicing.invoice_issued', {
    invoice_id: `I${n}`, customer_id: `C${n % 3}`, issue_date: '2026-01-05', due_date: '2026-02-04', amount: `${n + 1}`,
  }]));
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await service?.stop();
});

const open = async (t, { role = 'analyst', path = '/reports', ...more } = {}) =>
  openPage(t, browser, `${service.address}${path}#token=${await service.token(role, FIRM.id)}`, more);

const editor = (page) => page.getByRole('textbox', { name: 'SQL' });

async function write(page, sql) {
  await until('the editor is there', async () => (await page.locator('[data-editor=ready]').count()) === 1);
  await editor(page).click();
  await page.keyboard.press('Control+a');
  await page.keyboard.press('Delete');
  await page.keyboard.insertText(sql);
}

const make = async (report) =>
  service.call('POST', '/v1/reports', await service.token('analyst', FIRM.id), JSON.stringify(report));

const shot = async (page, name) => {
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png`, fullPage: true });
};

test('a query becomes a report, is run with another value, and its file is downloaded', async (t) => {
  const { page, complaints } = await open(t, { path: '/sql' });
  await write(page, 'SELECT customer_id, sum(balance) AS owed FROM open_invoices WHERE days_overdue > $1 GROUP BY 1 ORDER BY 1');
  await page.getByLabel('Value of $1').fill('30');
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Make a report' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Overdue');
  await page.getByLabel('Name of $1').fill('days');
  assert.equal(await page.getByLabel('Type of $1').inputValue(), 'int');
  assert.equal(await page.getByLabel('Default of $1').inputValue(), '30');
  await shot(page, 'report-form');
  await page.getByRole('button', { name: 'Make the report' }).click();
  await reads(page.locator('h2'), 'Overdue');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  const first = page.locator('[data-run]').first();
  await until('the run is done', async () => (await first.getAttribute('data-run')) === 'done');
  await reads(first, /^done .*3 rows.*as of 2026-03-31.*Position p/);
  await shot(page, 'report');
  const [download] = await Promise.all([
    page.waitForEvent('download'), page.getByRole('button', { name: /^Download overdue/ }).click(),
  ]);
  assert.equal(download.suggestedFilename(), 'overdue-2026-03-31.csv');
  const csv = await readFile(await download.path(), 'utf8');
  assert.match(csv, /^customer_id,owed\r\nC0,22\.0000\r\n/);
  // With a value that leaves nothing, and with one that is none.
  await page.getByLabel(/^days/).fill('1000');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await until('there are two runs', async () => (await page.locator('[data-run]').count()) === 2);
  await until('the second is done', async () => (await first.getAttribute('data-run')) === 'done');
  await reads(first, /0 rows.*\$1 = 1000/);
  await page.getByLabel(/^days/).fill('soon');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await reads(page.locator('.problem'), /days.*whole number/);
  assert.deepEqual(unexpected(complaints), []);
});

test('what is wrong with a report stands where it is wrong', async (t) => {
  const { page, complaints } = await open(t, { path: '/reports/new' });
  await page.getByLabel('Name', { exact: true }).fill('Wrong');
  await write(page, 'SELECT balanse FROM open_invoices');
  await page.getByRole('button', { name: 'Make the report' }).click();
  await reads(page.locator('section [role=alert]'), /^Line 1, column 8\. .*balanse/);
  await reads(page.locator('.cm-wrong'), 'balanse');
  await write(page, 'SELECT balance FROM open_invoices');
  await page.getByLabel('Make it by itself').check();
  await page.getByLabel('When (cron)').fill('0 7 * *');
  await page.getByRole('button', { name: 'Make the report' }).click();
  await reads(page.locator('.line', { has: page.getByLabel('When (cron)') }).getByRole('alert'), /five fields/);
  await page.getByLabel('Choose').selectOption('0 7 * * MON');
  await reads(page.locator('.means'), /^Means every Monday at 07:00 \(Europe\/London\)/);
  await page.getByRole('button', { name: 'Make the report' }).click();
  await reads(page.locator('dl'), /By itself ?every Monday at 07:00 \(Europe\/London\).*Next ?Mon.*07:00/);
  assert.deepEqual(unexpected(complaints), []);
});

test('a report is changed, not over somebody else’s change, and deleted', async (t) => {
  const { id } = await make({ name: 'Debts', view: 'ar_aging' });
  const { page, complaints } = await open(t, { path: `/reports/${id}/edit` });
  await until('the form is filled', async () => (await page.getByLabel('Name', { exact: true }).inputValue().catch(() => '')) === 'Debts');
  const token = await service.token('analyst', FIRM.id);
  const other = await fetch(`${service.address}/v1/reports/${id}`, {
    method: 'PUT', body: JSON.stringify({ name: 'Debts of all', view: 'ar_aging' }),
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json', 'If-Match': '"1"' },
  });
  assert.equal(other.status, 200);
  await page.getByLabel('Format').selectOption('xlsx');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await reads(page.locator('.changed'), /^Somebody changed this report meanwhile/);
  await page.getByRole('button', { name: 'Show theirs' }).click();
  await until('theirs is shown', async () => (await page.getByLabel('Name', { exact: true }).inputValue()) === 'Debts of all');
  await page.getByLabel('Format').selectOption('parquet');
  await page.getByRole('button', { name: 'Add a place' }).click();
  await page.getByLabel('Addresses').fill('cfo@harbour.example, ceo@harbour.example');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await reads(page.locator('dl'), /Parquet.*E-mail: cfo@harbour\.example, ceo@harbour\.example/);
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByRole('button', { name: 'Delete the report' }).click();
  await reads(page.locator('h2'), 'Reports');
  assert.equal(await page.getByRole('link', { name: 'Debts of all' }).count(), 0);
  assert.deepEqual(unexpected(complaints), []);
});

test('a long run shows that it is made, and is cancelled', async (t) => {
  const { id } = await make({
    name: 'Long', sql: 'SELECT count(*) FROM generate_series(1, 300000) a JOIN generate_series(1, 300000) b ON a.value % 7 < b.value % 5',
  });
  const { page } = await open(t, { path: `/reports/${id}` });
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  const first = page.locator('[data-run]').first();
  await until('it is made', async () => (await first.getAttribute('data-run')) === 'running');
  await page.getByRole('button', { name: /^Cancel the run/ }).click();
  await until('it is cancelled', async () => (await first.getAttribute('data-run')) === 'cancelled');
});

test('a run that fails says why', async (t) => {
  const { id } = await make({ name: 'Failing', sql: "SELECT CAST(customer_id AS int) AS n FROM open_invoices" });
  const { page } = await open(t, { path: `/reports/${id}` });
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  const first = page.locator('[data-run]').first();
  await until('it has failed', async () => (await first.getAttribute('data-run')) === 'failed');
  await reads(first.locator('.error'), /C\d/);
  await page.goto(`${service.address}/reports/nothing`);
  await reads(page.getByRole('alert'), /There is no such report/);
});

test('an executive sees no reports', async (t) => {
  const { page } = await open(t, { role: 'executive' });
  await reads(page.locator('main'), /for analysts and admins/);
});

test('nothing scrolls sideways on a phone', async (t) => {
  await make({ name: 'A report of a view with quite a long name', view: 'open_invoices', schedule: { cron: '0 7 * * MON-FRI' } });
  const { page, complaints } = await open(t, { width: 360, height: 740 });
  const link = page.getByRole('link', { name: /^A report of a view/ }).first();
  await until('it is listed', async () => (await link.count()) === 1);
  assert.equal(await overflow(page), 0);
  await shot(page, 'reports-phone');
  await link.click();
  await until('it is shown', async () => (await page.getByRole('button', { name: 'Run', exact: true }).count()) === 1);
  assert.equal(await overflow(page), 0);
  await page.getByRole('link', { name: 'Edit' }).click();
  await until('the form is shown', async () => (await page.getByRole('button', { name: 'Save', exact: true }).count()) === 1);
  assert.equal(await overflow(page), 0);
  await shot(page, 'report-form-phone');
  assert.deepEqual(unexpected(complaints), []);
});
