// The page for SQL in a real browser against the real service.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { launch, open as openPage, overflow, reads, textOf, unexpected } from './browser.js';
import { Service, until } from './service.js';

/** @type {Service} */
let service;
/** @type {import('playwright-core').Browser} */
let browser;

const FIRM = { id: 'harbour', name: 'Harbour & Finch', timezone: 'Europe/London', currency: 'GBP', clock: 'fixed:2026-03-31' };

/** Takes longer than any query may. */
const LONG = 'SELECT count(*) FROM generate_series(1, 300000) a JOIN generate_series(1, 300000) b ON a.value % 7 < b.value % 5';

before(async () => {
  service = await Service.start();
  await service.createTenant(FIRM);
  await service.createTenant({ ...FIRM, id: 'other', name: 'Another' });
  await service.post(FIRM.id, ...Array.from({ length: 30 }, (_, n) => ['invoicing.invoice_issued', {
    invoice_id: `I${n}`, customer_id: n % 2 === 0 ? 'Nordlicht' : '=Bluewater', issue_date: '2026-01-05',
    due_date: `2026-02-${String((n % 27) + 1).padStart(2, '0')}`, amount: `${n + 1}.50`,
  }]));
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await service?.stop();
});

const open = async (t, { role = 'analyst', tenant = FIRM.id, path = '/sql', dark = false, ...size } = {}) =>
  openPage(t, browser, `${service.address}${path}#token=${await service.token(role, tenant)}`, {
    height: 860, colorScheme: dark ? 'dark' : 'light', permissions: ['clipboard-read', 'clipboard-write'], ...size,
  });

const editor = (page) => page.getByRole('textbox', { name: 'SQL' });
const cells = (page) => page.locator('[role=grid] td[role=gridcell], [role=grid] td[aria-colindex]');

async function ready(page) {
  await until('the editor is there', async () => (await page.locator('[data-editor=ready]').count()) === 1);
}

/** Writes a query in the place of what is there. */
async function write(page, sql) {
  await ready(page);
  await editor(page).click();
  await page.keyboard.press('Control+a');
  await page.keyboard.press('Delete');
  await page.keyboard.insertText(sql);
}

const shot = async (page, name) => {
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png` });
};

test('a query is written with completion, run by keys, shown as a table and a chart', async (t) => {
  const { page, complaints } = await open(t);
  await ready(page);
  await until('the catalog is there', async () => (await page.getByRole('button', { name: 'Columns of open_invoices' }).count()) === 1);
  await editor(page).click();
  await page.keyboard.type('select customer_id, sum(balance) as owed from open_inv', { delay: 5 });
  await until('the view is offered', async () => (await textOf(page.locator('.cm-tooltip-autocomplete'))).includes('open_invoices'));
  // What has only just opened takes no key yet, lest it take one that was meant for the text.
  await until('it is taken', async () => {
    await page.keyboard.press('Tab');
    return (await textOf(editor(page))).includes('from open_invoices');
  });
  await page.keyboard.type(' group by 1 order by 1');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+Enter');
  await reads(page.locator('.facts'), /^2 rows in [\d.]+ m?s as of 2026-03-31$/);
  assert.deepEqual(await cells(page).allTextContents(), ['=Bluewater', '247.5000', 'Nordlicht', '232.5000']);
  await shot(page, 'sql');
  await page.getByRole('button', { name: 'Chart' }).click();
  await until('the chart is drawn', async () => (await page.locator('.result canvas').count()) > 0);
  assert.equal(await page.locator('.result [role=img]').getAttribute('aria-label'), 'Chart of owed along customer_id');
  await page.getByLabel('Kind').selectOption('line');
  await shot(page, 'sql-chart');
  assert.deepEqual(unexpected(complaints), []);
});

test('an error stands at its place in the SQL', async (t) => {
  const { page, complaints } = await open(t);
  await write(page, 'SELECT customer_id\nFROM open_invoices\nWHERE balanse > 3');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await reads(page.locator('.problem'), /Line 3, column 7.*balanse/);
  await reads(page.locator('.cm-wrong'), 'balanse');
  await shot(page, 'sql-error');
  // A selection is run alone, and its places are those in the whole text.
  await write(page, 'SELECT 1;\nSELECT nothing');
  await page.keyboard.press('Shift+Home');
  await page.getByRole('button', { name: 'Run selection' }).click();
  await reads(page.locator('.problem'), /Line 2, column 8/);
  await page.getByRole('button', { name: /^Line 2/ }).click();
  await page.keyboard.insertText('2 + ');
  await until('the text has changed', async () => (await textOf(editor(page))).includes('2 + nothing'));
  assert.deepEqual(unexpected(complaints), []);
});

test('parameters are typed in and sent with their types', async (t) => {
  const { page } = await open(t);
  await write(page, 'SELECT invoice_id, $2 AS note FROM open_invoices WHERE balance > $1 ORDER BY balance DESC');
  await page.getByLabel('Value of $1').fill('28.5');
  await page.getByLabel('Value of $2').fill("it's '; DROP");
  await page.getByLabel('Value of $2').press('Enter');
  await reads(page.locator('.facts b'), '2 rows');
  assert.deepEqual(await cells(page).allTextContents(), ['I29', "it's '; DROP", 'I28', "it's '; DROP"]);
  await page.getByLabel('Type of $1').selectOption('int');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await reads(page.locator('.parameter [role=alert]'), /whole number/);
});

test('many rows: few in the page, all by keys, sorted, copied, downloaded', async (t) => {
  const { page, complaints } = await open(t);
  await write(page, 'SELECT value AS n, CAST(value AS decimal(20, 2)) / 100 AS d, 9007199254740993 AS long FROM generate_series(1, 30000)');
  await page.keyboard.press('Control+Enter');
  await reads(page.locator('.facts b'), '30,000 rows');
  assert.ok(await page.locator('[role=grid] tbody tr').count() < 120);
  assert.equal(await page.getByRole('grid').getAttribute('aria-rowcount'), '30001');
  await page.getByRole('grid').focus();
  await page.keyboard.press('Control+End');
  await reads(page.locator('td.chosen'), '9,007,199,254,740,993');
  await page.keyboard.press('Control+ArrowLeft');
  await reads(page.locator('td.chosen'), '30,000');
  await page.keyboard.press('Control+c');
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), '30000');
  await page.getByRole('button', { name: 'Sort by n' }).click();
  await page.getByRole('grid').focus();
  await page.keyboard.press('Control+Home');
  await reads(page.locator('td.chosen'), '30,000');
  const [download] = await Promise.all([
    page.waitForEvent('download'), page.getByRole('button', { name: 'Download CSV' }).click(),
  ]);
  const csv = await readFile(await download.path(), 'utf8');
  assert.equal(csv.trimEnd().split('\r\n').length, 30_001);
  assert.match(download.suggestedFilename(), /^generate-series-2026-03-31\.csv$/);
  assert.deepEqual(unexpected(complaints), []);
});

test('a long query shows that it runs, and is cancelled at the service too', async (t) => {
  const { page } = await open(t);
  // A tenant may run eight at once: were they not ended, there would be no place left.
  for (let n = 0; n < 10; n += 1) {
    await write(page, `${LONG} + ${n}`);
    await page.keyboard.press('Control+Enter');
    await reads(page.locator('.facts'), /^Running for/);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await reads(page.locator('.facts'), /^Cancelled/);
  }
  await page.getByRole('tab', { name: 'History' }).click();
  await reads(page.locator('[role=tabpanel] li').first(), /cancelled/);
  await write(page, 'SELECT 1');
  await page.keyboard.press('Control+Enter');
  await reads(page.locator('.facts b'), '1 row');
});

test('an answer too large for the page or the service is told so', async (t) => {
  const { page, complaints } = await open(t);
  await write(page, 'SELECT value FROM generate_series(1, 150000)');
  await page.keyboard.press('Control+Enter');
  await reads(page.locator('.facts b'), 'the first 100,000 rows');
  await reads(page.locator('.answer > .line'), /There are more/);
  await page.getByRole('grid').focus();
  await page.keyboard.press('Control+End');
  await reads(page.locator('td.chosen'), '100,000');
  await write(page, 'SELECT value FROM generate_series(1, 1200000)');
  await page.keyboard.press('Control+Enter');
  await reads(page.locator('.problem'), /rows.*Add a LIMIT or a GROUP BY/);
  assert.equal(await page.getByRole('grid').count(), 0);
  assert.deepEqual(unexpected(complaints), []);
});

test('saved queries and history are one person’s in one tenant, and last', async (t) => {
  const { page } = await open(t);
  await write(page, 'SELECT 41 + 1 AS answer');
  await page.keyboard.press('Control+Enter');
  await reads(page.locator('.facts b'), '1 row');
  await page.keyboard.press('Control+s');
  await page.getByLabel('Name').fill('The answer');
  await page.keyboard.press('Enter');
  await page.reload();
  await ready(page);
  await until('the draft is there', async () => (await textOf(editor(page))).includes('41 + 1'));
  await page.getByRole('tab', { name: 'Saved' }).click();
  await page.getByRole('button', { name: 'The answer', exact: true }).click();
  await page.keyboard.press('Control+Enter');
  await reads(cells(page).first(), '42');
  await page.getByRole('tab', { name: 'History' }).click();
  await reads(page.locator('[role=tabpanel] li').first(), /SELECT 41 \+ 1 AS answer ?1 row/);
  // Another tenant in the same browser begins with nothing.
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.goto(`${service.address}/sql#token=${await service.token('analyst', 'other')}`);
  await ready(page);
  await page.getByRole('tab', { name: 'Saved' }).click();
  await reads(page.locator('[role=tabpanel]'), /Nothing saved yet/);
});

test('an executive sees neither SQL nor reports', async (t) => {
  const { page } = await open(t, { role: 'executive', path: '/' });
  await until('the firm is shown', async () => (await textOf(page.locator('h1'))) === FIRM.name);
  const pages = page.getByRole('navigation').getByRole('link');
  assert.deepEqual((await pages.allTextContents()).map((name) => name.trim()), ['Overview', 'Projects', 'Dashboards']);
  await page.goto(`${service.address}/sql`);
  await reads(page.locator('main'), /for analysts and admins/);
  assert.equal(await page.locator('[data-editor]').count(), 0);
});

for (const [width, dark] of [[360, false], [768, true]]) {
  test(`nothing scrolls sideways at ${width} pixels${dark ? ', in the dark' : ''}`, async (t) => {
    const { page, complaints } = await open(t, { width, height: 740, dark });
    await write(page, 'SELECT * FROM open_invoices');
    await page.keyboard.press('Control+Enter');
    await reads(page.locator('.facts b'), '30 rows');
    assert.equal(await overflow(page), 0);
    await shot(page, `sql-${width}`);
    assert.deepEqual(unexpected(complaints), []);
  });
}

test('the editor is loaded on its page alone', async (t) => {
  const { page } = await open(t, { role: 'admin', path: '/' });
  await until('the firm is shown', async () => (await textOf(page.locator('h1'))) === FIRM.name);
  const loaded = () => page.evaluate(() => performance.getEntriesByType('resource').map((e) => e.name).join(' '));
  assert.doesNotMatch(await loaded(), /codemirror|SqlPage/);
  await page.getByRole('link', { name: 'SQL' }).click();
  await ready(page);
  assert.match(await loaded(), /codemirror/);
});
