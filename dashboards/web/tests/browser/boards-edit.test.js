// Dashboards are made and changed in a real browser, against the real service.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open as openPage, overflow, reads, unexpected } from './browser.js';
import { Service, tokenOf, until } from './service.js';

/** @type {Service} */
let service;
/** @type {import('playwright-core').Browser} */
let browser;

const FIRM = { id: 'harbour', name: 'Harbour & Finch', timezone: 'Europe/London', currency: 'GBP', clock: 'fixed:2026-03-31' };

before(async () => {
  service = await Service.start();
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

async function open(t, path, { who = 'ann', role = 'analyst', ...size } = {}) {
  const opened = await openPage(t, browser, `${service.address}${path}#token=${await tokenOf(who, role, FIRM.id)}`, size);
  await reads(opened.page.locator('h1'), FIRM.name);
  return opened;
}

const kpi = (id, title, x, column = 'total') => ({
  id, title, at: { x, y: 0, w: 4, h: 3 }, source: { view: 'ar_aging' },
  show: { kind: 'kpi', value: { column }, currency: 'currency' },
});
const TABLE = {
  id: 'rows', title: 'Debtors', at: { x: 0, y: 3, w: 6, h: 5 }, source: { view: 'ar_aging' },
  show: { kind: 'table', columns: ['customer_id', 'total'], limit: 5 },
};
const document = (...widgets) => ({ schema: 1, filters: [], widgets });

async function made(name, ...widgets) {
  const token = await tokenOf('ann', 'analyst', FIRM.id);
  return service.call('POST', '/v1/dashboards', token, JSON.stringify({ name, document: document(...widgets) }));
}

const kept = async (id) => service.call('GET', `/v1/dashboards/${id}`, await tokenOf('ann', 'analyst', FIRM.id));

/** Somebody else saves it. */
async function saved(id, version, name, ...widgets) {
  const response = await fetch(`${service.address}/v1/dashboards/${id}`, {
    method: 'PUT', body: JSON.stringify({ name, document: document(...widgets) }),
    headers: {
      Authorization: `Bearer ${await tokenOf('bob', 'analyst', FIRM.id)}`, 'Content-Type': 'application/json', 'If-Match': `"${version}"`,
    },
  });
  assert.equal(response.status, 200, await response.clone().text());
}

const handle = (page, id) => page.locator(id === undefined ? '[data-take]' : `[data-take="${id}"]`);
const save = (page) => page.getByRole('button', { name: 'Save', exact: true });
const state = (page) => page.locator('[data-state]');
const said = (page) => page.locator('.edit > p[aria-live]');
const titled = (page) => page.getByLabel('Title', { exact: true });

async function stands(page, text) {
  await until(`a widget stands at ${text}`, async () => (await page.locator(`[data-take][aria-label="${text}"]`).count()) === 1, 30);
}

async function choose(page, id, title) {
  await handle(page, id).click();
  await until('its form is open', async () => (await titled(page).inputValue().catch(() => null)) === title);
}

const shot = async (page, name) => {
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png`, fullPage: true });
};

test('a number is put on a new dashboard, moved by keys and by a pointer, and stands there after a reload', async (t) => {
  const { page, complaints } = await open(t, '/dashboards');
  await page.getByRole('button', { name: 'New dashboard' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Debts');
  await page.getByRole('button', { name: 'Make it', exact: true }).click();
  await until('it is edited', async () => (await page.getByLabel('Name of the dashboard').inputValue().catch(() => '')) === 'Debts');

  await page.getByRole('button', { name: 'Add a widget' }).click();
  await page.getByRole('radio', { name: 'Number' }).check();
  await page.getByLabel('The rows of').selectOption('ar_aging');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await until('its form has the focus', async () => titled(page).evaluate((field) => field === field.ownerDocument.activeElement));
  await titled(page).fill('Owed');
  await page.getByLabel('Number: column').selectOption('total');
  await reads(page.locator('[data-cell] [data-widget]'), /Owed.*78/);
  await shot(page, 'board-edit');

  await handle(page).focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  await reads(said(page), 'Owed is at column 3, row 1, 3 wide and 3 tall.');
  await page.keyboard.press('Shift+ArrowDown');
  await stands(page, 'Owed, column 3, row 1, 3 wide and 4 tall');
  await page.keyboard.press('ArrowUp');
  await reads(said(page), 'Owed goes no further there.');
  await page.keyboard.press('Control+z');
  await stands(page, 'Owed, column 1, row 1, 3 wide and 3 tall');
  await page.keyboard.press('Control+Shift+z');
  await stands(page, 'Owed, column 3, row 1, 3 wide and 4 tall');

  const frame = await page.locator('.edit .frame').boundingBox();
  const box = await handle(page).boundingBox();
  assert.ok(frame && box);
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x + (frame.width / 12) * 3, y, { steps: 6 });
  await page.mouse.up();
  await stands(page, 'Owed, column 6, row 1, 3 wide and 4 tall');

  await reads(state(page), 'Not saved');
  await page.keyboard.press('Control+s');
  await reads(state(page), 'Saved');
  const id = /\/dashboards\/([^/]+)\/edit/.exec(page.url())?.[1];
  const { document: stored, version } = await kept(id);
  assert.deepEqual(stored.widgets.map(({ title, at }) => [title, at]), [['Owed', { x: 5, y: 0, w: 3, h: 4 }]]);
  assert.equal(version, 2);

  await page.reload();
  await stands(page, 'Owed, column 6, row 1, 3 wide and 4 tall');
  await page.getByRole('link', { name: 'Done' }).click();
  await reads(page.locator('h2'), 'Debts');
  await reads(page.locator('[data-widget]'), /Owed.*78/);
  await page.getByRole('link', { name: 'Edit', exact: true }).click();
  await stands(page, 'Owed, column 6, row 1, 3 wide and 4 tall');
  assert.deepEqual(complaints, []);
});

test('widgets make room for each other, are copied and taken away, and what was done is undone', async (t) => {
  const { id } = await made('Room', kpi('a', 'First', 0), kpi('b', 'Second', 4));
  const { page, complaints } = await open(t, `/dashboards/${id}/edit`);
  await handle(page, 'a').focus();
  for (let n = 0; n < 3; n += 1) await page.keyboard.press('ArrowRight');
  await stands(page, 'First, column 4, row 1, 4 wide and 3 tall');
  await stands(page, 'Second, column 5, row 4, 4 wide and 3 tall');
  assert.equal(await handle(page, 'a').evaluate((button) => button === button.ownerDocument.activeElement), true);
  for (let n = 0; n < 5; n += 1) await page.keyboard.press('ArrowRight');
  await stands(page, 'First, column 9, row 1, 4 wide and 3 tall');
  await stands(page, 'Second, column 5, row 1, 4 wide and 3 tall');
  // Enter leads to the form, Esc back.
  await page.keyboard.press('Enter');
  await until('the form has the focus', async () => titled(page).evaluate((field) => field === field.ownerDocument.activeElement));
  await page.keyboard.press('Escape');
  assert.equal(await handle(page, 'a').evaluate((button) => button === button.ownerDocument.activeElement), true);
  await choose(page, 'a', 'First');
  await page.getByRole('button', { name: 'Duplicate' }).click();
  await stands(page, 'First (copy), column 1, row 1, 4 wide and 3 tall');
  await handle(page, 'b').focus();
  await page.keyboard.press('Delete');
  await reads(said(page), /^Second is taken away/);
  assert.equal(await handle(page).count(), 2);
  await page.getByRole('button', { name: 'Undo' }).click();
  assert.equal(await handle(page).count(), 3);
  await page.getByRole('button', { name: 'Undo' }).click();
  assert.equal(await handle(page).count(), 2);
  await page.getByRole('button', { name: 'Undo' }).click();
  await reads(state(page), 'Saved');
  assert.deepEqual(complaints, []);
});

test('over somebody else’s change nothing is saved without a word', async (t) => {
  const { id } = await made('Shared', kpi('a', 'First', 0), kpi('b', 'Second', 4));
  const { page, complaints } = await open(t, `/dashboards/${id}/edit`);
  await choose(page, 'a', 'First');
  await titled(page).fill('Mine');
  await saved(id, 1, 'Shared by two', kpi('a', 'Theirs', 0), kpi('b', 'Second', 8));
  await save(page).click();
  const dialog = page.getByRole('dialog', { name: 'Somebody changed this dashboard meanwhile' });
  await reads(dialog, /bob saved it/);
  await reads(dialog.getByRole('region', { name: 'You changed' }), /^You changed ?Widget “Mine” changed: title ?both changed it$/);
  await reads(dialog.getByRole('region', { name: 'They changed' }), /The name: Shared by two changed.*Widget “Theirs” changed: title ?both changed it.*Widget “Second” moved$/);
  await shot(page, 'board-conflict');
  await dialog.getByRole('button', { name: 'Look at both' }).click();
  await until('both are shown', async () => (await dialog.locator('[data-widget]').count()) === 4);
  await dialog.getByRole('button', { name: 'Take theirs' }).click();
  await stands(page, 'Theirs, column 1, row 1, 4 wide and 3 tall');
  await reads(state(page), 'Saved');
  // Mine is one step back, and is saved over theirs knowingly.
  await page.getByRole('button', { name: 'Undo' }).click();
  await stands(page, 'Mine, column 1, row 1, 4 wide and 3 tall');
  await save(page).click();
  await reads(state(page), 'Saved');
  assert.equal((await kept(id)).version, 3);

  await saved(id, 3, 'Shared again');
  await choose(page, 'b', 'Second');
  await titled(page).fill('Mine too');
  await save(page).click();
  await dialog.getByRole('button', { name: 'Keep mine' }).click();
  await reads(state(page), 'Saved');
  const now = await kept(id);
  assert.deepEqual([now.version, now.name, now.document.widgets.map(({ title }) => title)], [5, 'Shared', ['Mine', 'Mine too']]);
  assert.deepEqual(unexpected(complaints), []);
});

test('what is wrong stands at its field', async (t) => {
  const { id } = await made('Wrong', kpi('a', 'First', 0), TABLE);
  const { page, complaints } = await open(t, `/dashboards/${id}/edit`);
  const at = (label) => page.locator('.panel .line', { has: page.getByLabel(label) }).getByRole('alert');
  await choose(page, 'a', 'First');
  await titled(page).fill('');
  await save(page).click();
  await reads(at('Title'), 'Give it a title.');
  await titled(page).fill('First');
  await choose(page, 'rows', 'Debtors');
  await page.getByLabel(/^At most/).fill('5000');
  // Another form is open when it is refused; the way leads to the one that it is about.
  await choose(page, 'a', 'First');
  await save(page).click();
  await reads(at(/^At most/), /from 1 to 1000/);
  assert.equal(await titled(page).inputValue(), 'Debtors');
  await page.getByLabel(/^At most/).fill('4');
  await save(page).click();
  await reads(state(page), 'Saved');
  assert.equal((await kept(id)).document.widgets[1].show.limit, 4);
  await page.getByLabel('Name of the dashboard').fill(' ');
  await save(page).click();
  await reads(page.locator('.name').getByRole('alert'), 'Give the dashboard a name.');
  assert.deepEqual(unexpected(complaints), []);
});

test('SQL is written with a filter for its parameter, its errors at their place', async (t) => {
  const { id } = await made('Queries');
  const { page, complaints } = await open(t, `/dashboards/${id}/edit`);
  await page.getByRole('button', { name: 'Filters and more' }).click();
  await page.getByLabel('Add a filter').selectOption('customer_id');
  await page.getByLabel('At first').fill('C0');
  await page.getByRole('button', { name: 'Add a widget' }).click();
  await page.getByLabel('The rows of').selectOption('SQL of your own');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  const editor = page.getByRole('textbox', { name: 'SQL of the widget' });
  const write = async (sql) => {
    await until('the editor is there', async () => (await page.locator('[data-editor=ready]').count()) === 1);
    await editor.click();
    await page.keyboard.press('Control+a');
    await page.keyboard.press('Delete');
    await page.keyboard.insertText(sql);
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+Enter');
  };
  await write('SELECT balanse FROM open_invoices');
  await reads(page.locator('.panel p.bad'), /^Line 1, column 8\. .*balanse/);
  await write('SELECT customer_id, sum(balance) AS owed FROM open_invoices WHERE customer_id = $1 GROUP BY 1');
  await until('its column is offered', async () => (await page.getByLabel('Number: column').inputValue()) === 'owed');
  await page.getByLabel('What $1 is').selectOption('customer');
  await titled(page).fill('Of one customer');
  await reads(page.locator('[data-cell] [data-widget]'), /Of one customer.*22/);
  await save(page).click();
  await reads(state(page), 'Saved');
  const { document: stored } = await kept(id);
  assert.deepEqual(stored.filters, [{ id: 'customer', title: 'Customer', column: 'customer_id', type: 'text', default: 'C0' }]);
  assert.deepEqual(stored.widgets[0].source.params, [{ filter: 'customer' }]);
  assert.deepEqual(unexpected(complaints), []);
});

test('whoever would leave with changes is asked, and finds them again', async (t) => {
  const { id } = await made('Left', kpi('a', 'First', 0));
  const { page, complaints } = await open(t, `/dashboards/${id}`);
  await page.getByRole('link', { name: 'Edit', exact: true }).click();
  await choose(page, 'a', 'First');
  await titled(page).fill('Changed');
  const dialog = page.getByRole('dialog', { name: 'Leave without saving?' });
  await page.getByRole('link', { name: 'Reports' }).click();
  await dialog.getByRole('button', { name: 'Stay' }).click();
  assert.match(page.url(), /\/edit$/);
  // A sign-in that ends asks nobody, and what was done is there again afterwards.
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Access token').fill(await tokenOf('ann', 'analyst', FIRM.id));
  await page.getByRole('button', { name: 'Open the overview' }).click();
  await stands(page, 'Changed, column 1, row 1, 4 wide and 3 tall');
  await reads(page.locator('.kept'), /not saved yet/);
  await reads(state(page), 'Not saved');
  await page.evaluate(() => history.back());
  await dialog.getByRole('button', { name: 'Leave without saving' }).click();
  await until('it is left', async () => !page.url().endsWith('/edit'));
  await page.goto(`${service.address}/dashboards/${id}/edit`);
  await stands(page, 'First, column 1, row 1, 4 wide and 3 tall');
  assert.deepEqual(complaints, []);
});

test('a version is looked at and restored, and a dashboard deleted', async (t) => {
  const { id } = await made('Before', kpi('a', 'First', 0));
  await saved(id, 1, 'After', kpi('b', 'Second', 0));
  const { page, complaints } = await open(t, `/dashboards/${id}`);
  await page.getByRole('link', { name: 'Versions' }).click();
  await until('both are listed', async () => (await page.locator('[data-version]').count()) === 2);
  await page.locator('[data-version="1"]').click();
  await reads(page.locator('[data-widget]'), /First/);
  await page.getByRole('button', { name: 'Make it version 1 again' }).click();
  await reads(page.locator('.said'), 'It is version 1 again.');
  await reads(page.locator('[data-version="3"]'), /Version 3 ?as it is now ?version 1 again.*by ann/);
  const now = await kept(id);
  assert.deepEqual([now.version, now.name, now.document.widgets[0].title], [3, 'Before', 'First']);
  // One that was changed meanwhile is not put back unseen.
  await saved(id, 3, 'Later', kpi('b', 'Second', 0));
  await page.locator('[data-version="2"]').click();
  await page.getByRole('button', { name: 'Make it version 2 again' }).click();
  await reads(page.locator('.changed'), /^Somebody changed the dashboard meanwhile/);
  assert.equal((await kept(id)).version, 4);

  await page.goto(`${service.address}/dashboards/${id}/edit`);
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByRole('button', { name: 'Delete the dashboard' }).click();
  await until('it is gone', async () => /\/dashboards$/.test(page.url()));
  const gone = await fetch(`${service.address}/v1/dashboards/${id}`, { headers: { Authorization: `Bearer ${await tokenOf('ann', 'analyst', FIRM.id)}` } });
  assert.equal(gone.status, 404);
  assert.deepEqual(unexpected(complaints), []);
});

test('an executive is not offered to change one', async (t) => {
  const { id } = await made('To be read', kpi('a', 'First', 0));
  const { page } = await open(t, `/dashboards/${id}`, { who: 'eve', role: 'executive' });
  await reads(page.locator('[data-widget]'), /First.*78/);
  assert.equal(await page.getByRole('link', { name: 'Edit', exact: true }).count(), 0);
  await page.goto(`${service.address}/dashboards/${id}/edit`);
  await reads(page.locator('main'), /changed by analysts and admins/);
  await page.goto(`${service.address}/dashboards`);
  await until('it is listed', async () => (await page.locator(`[data-dashboard="${id}"]`).count()) === 1);
  assert.equal(await page.getByRole('button', { name: 'New dashboard' }).count(), 0);
});

test('a widget is changed on a phone, and nothing scrolls sideways', async (t) => {
  const { id } = await made('On a phone', kpi('a', 'A number with quite a long title', 0), TABLE);
  const { page, complaints } = await open(t, `/dashboards/${id}/edit`, { width: 360, height: 740 });
  await choose(page, 'a', 'A number with quite a long title');
  assert.equal(await overflow(page), 0);
  await reads(page.locator('.preview'), /A number with quite a long title/);
  await shot(page, 'board-edit-phone');
  await titled(page).fill('Short');
  await page.getByRole('button', { name: 'Close the form' }).click();
  await stands(page, 'Short, column 1, row 1, 4 wide and 3 tall');
  assert.equal(await overflow(page), 0);
  assert.deepEqual(complaints, []);
});
