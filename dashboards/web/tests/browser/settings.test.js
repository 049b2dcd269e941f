// The page for the firm's settings in a real browser against the real service.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, open as openPage, overflow, reads, unexpected } from './browser.js';
import { Service, tokenOf, until } from './service.js';

/** @type {Service} */
let service;
/** @type {import('playwright-core').Browser} */
let browser;
/** Where whoever runs the service keeps templates of their own. */
let folder;

const firm = (id, more = {}) => ({ id, name: 'Harbour & Finch', timezone: 'Europe/London', currency: 'GBP', clock: 'fixed:2026-03-31', ...more });

const text = (id, y, title, words) => ({ id, title, at: { x: 0, y, w: 12, h: 2 }, show: { kind: 'text', text: words } });
const board = (id, title, ...widgets) => ({ id, title, document: { schema: 1, filters: [], widgets } });

const kiosk = (version, modules, events, dashboards) => JSON.stringify({
  vertical: 'kiosk', version, title: 'Kiosk', about: 'Sells over the counter.', modules, events, dashboards,
});
const sweep = { task_id: 'sweep', user_id: 'team', title: 'Sweep the floor', cadence: 'daily', start_date: '$today' };
const FIRST = kiosk(1, ['invoicing', 'inventory', 'tasks'], [], [
  board('stock', 'Stock', text('about', 0, 'What this shows', 'Shelves'), text('help', 2, 'Help', 'Count every week')),
  board('sales', 'Sales', text('about', 0, 'Sales', 'Of the day')),
  board('old', 'Old', text('about', 0, 'Old', 'Nobody needs it')),
]);
const SECOND = kiosk(2, ['invoicing', 'hr', 'inventory', 'tasks'], [{ id: 'sweep', type: 'tasks.task_assigned', data: sweep }], [
  board('stock', 'Stock', text('about', 0, 'What stands here', 'Shelves'), text('help', 2, 'Help', 'Count every day')),
  board('sales', 'Sales', text('about', 0, 'Sales', 'Of the week')),
  board('returns', 'Returns', text('about', 0, 'Returns', 'What came back')),
]);
const TITLE = '/dashboards/stock/document/widgets/about/title';

const FIRMS = ['north', 'south', 'east', 'west'];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-templates-'));
  await writeFile(join(folder, 'kiosk.json'), FIRST);
  service = await Service.start({ TIDEMARK_TEMPLATES: folder });
  await service.createTenant(firm('harbour'));
  for (const id of FIRMS) {
    await service.createTenant(firm(id, { vertical: 'kiosk' }));
    await retitle(id, 'Our shelves');
  }
  // A newer version comes with a newer service.
  await service.kill('SIGTERM');
  await writeFile(join(folder, 'kiosk.json'), SECOND);
  await service.up();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await service?.stop();
  if (folder) await rm(folder, { recursive: true, force: true });
});

const as = (tenant, role = 'admin') => tokenOf(`${role} of ${tenant}`, role, tenant);

async function open(t, tenant, { role = 'admin', path = '/settings', ...size } = {}) {
  return openPage(t, browser, `${service.address}${path}#token=${await as(tenant, role)}`, size);
}

const get = async (tenant, path) => service.call('GET', path, await as(tenant));

async function retitle(tenant, title) {
  const stock = await get(tenant, '/v1/dashboards/kiosk-stock');
  stock.document.widgets.find(({ id }) => id === 'about').title = title;
  const response = await fetch(`${service.address}/v1/dashboards/kiosk-stock`, {
    method: 'PUT', body: JSON.stringify(stock),
    headers: { Authorization: `Bearer ${await as(tenant)}`, 'Content-Type': 'application/json', 'If-Match': `"${stock.version}"` },
  });
  assert.ok(response.ok, `${response.status} ${await response.text()}`);
}

const widget = async (tenant, dashboard, id) =>
  (await get(tenant, `/v1/dashboards/kiosk-${dashboard}`)).document.widgets.find((one) => one.id === id);

const field = (page, label) => page.locator('.line', { has: page.getByLabel(label, { exact: true }) });
const save = (page) => page.getByRole('button', { name: 'Save', exact: true }).click();
const told = (page) => page.locator('form .buttons [role=status]');
const accent = (page) => page.evaluate(() => document.documentElement.style.getPropertyValue('--accent'));
const settings = (page) => page.locator('nav').getByRole('link', { name: /^Settings/ });
const apply = (page) => page.getByRole('button', { name: 'Take over version 2' }).click();

const shot = async (page, name) => {
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png`, fullPage: true });
};

test('a field is declared, is a column, and is removed again', async (t) => {
  const { page, complaints } = await open(t, 'harbour');
  const section = page.locator('[data-fields]');
  await reads(section, /Nothing is declared yet/);
  await page.getByLabel('Sent with').fill('hr.time_logged');
  await page.getByLabel('Name in the event').fill('hours');
  const add = page.getByRole('button', { name: 'Add the field' });
  await add.click();
  await reads(section.locator('[role=alert]'), /has the column `hours` itself/);
  await page.getByLabel('Name in the event').fill('lot');
  await page.getByLabel('Title of the field').fill('Lot number');
  await page.getByLabel('Choices').fill('red, green');
  await add.click();
  await reads(section.locator('[data-field="hr.time_logged/lot"]'), /Lot number\s*lot\s*Text: red, green\s*your own/);
  const asked = async () => {
    const response = await fetch(`${service.address}/v1/query`, {
      method: 'POST', body: JSON.stringify({ sql: 'SELECT count(lot) FROM events."hr.time_logged"' }),
      headers: { Authorization: `Bearer ${await as('harbour')}`, 'Content-Type': 'application/json' },
    });
    return response.status;
  };
  assert.equal(await asked(), 200);
  await shot(page, 'settings-fields');
  await page.getByRole('button', { name: 'Remove Lot number' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove it' }).click();
  await reads(section, /Nothing is declared yet/);
  assert.notEqual(await asked(), 200);
  assert.deepEqual(unexpected(complaints), []);
});

test('name, colour and logo are changed, and everybody of the firm sees them', async (t) => {
  const { page, complaints } = await open(t, 'harbour');
  await reads(page.locator('h1'), 'Harbour & Finch');
  await reads(page.locator('[data-template]'), /begun without a template/);
  await page.getByLabel('Name', { exact: true }).fill('Harbour, Finch & Daughters');
  await page.getByLabel('Name on the page').fill('Harbour & Daughters');
  await page.getByLabel('Colour by day', { exact: true }).fill('#7A1F5C');
  // A picture of noise, larger than what is kept.
  const picture = Buffer.from(await page.evaluate(() => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [400, 300];
    const context = canvas.getContext('2d');
    const image = context.createImageData(400, 300);
    for (let at = 0; at < image.data.length; at += 65_536) crypto.getRandomValues(image.data.subarray(at, at + 65_536));
    for (let at = 3; at < image.data.length; at += 4) image.data[at] = 255;
    context.putImageData(image, 0, 0);
    return canvas.toDataURL('image/png').split(',')[1];
  }), 'base64');
  assert.ok(picture.length > 48 * 1024, `${picture.length} bytes`);
  await page.getByLabel('Logo', { exact: true }).setInputFiles({ name: 'logo.png', mimeType: 'image/png', buffer: picture });
  await until('the preview has the logo', async () => (await page.locator('[data-preview=light] [data-mark=logo]').count()) === 1);
  assert.notEqual(await accent(page), '#7a1f5c', 'nothing is applied before it is saved');
  await shot(page, 'settings');
  await save(page);
  await reads(told(page), 'Saved.');
  await reads(page.locator('h1'), 'Harbour & Daughters');
  assert.equal(await page.title(), 'Settings · Harbour & Daughters');
  assert.equal(await accent(page), '#7a1f5c');
  await until('the head has the logo', async () => (await page.locator('header [data-mark=logo] canvas').count()) === 1);
  const { name, branding } = await get('harbour', '/v1/tenant');
  assert.equal(name, 'Harbour, Finch & Daughters');
  assert.deepEqual(branding.colours, { accent: '#7a1f5c' });
  await save(page);
  await reads(told(page), 'Nothing is changed.');
  assert.deepEqual(complaints, []);

  const other = await open(t, 'harbour', { role: 'executive', path: '/' });
  await reads(other.page.locator('h1'), 'Harbour & Daughters');
  await until('the executive sees the logo', async () => (await other.page.locator('header [data-mark=logo]').count()) === 1);
  assert.equal(await accent(other.page), '#7a1f5c');
  // On paper the head stands over the figures, without what cannot be pressed there.
  await other.page.emulateMedia({ media: 'print' });
  assert.equal(await other.page.locator('header h1').isVisible(), true);
  assert.equal(await other.page.locator('header [data-mark=logo] canvas').isVisible(), true);
  assert.equal(await other.page.getByRole('button', { name: 'Sign out' }).isVisible(), false);
  assert.deepEqual(other.complaints, []);

  await page.getByRole('button', { name: 'Remove the logo' }).click();
  await save(page);
  await reads(told(page), 'Saved.');
  await reads(page.locator('header [data-mark=letter]'), 'H');
});

test('a module that is switched off is not shown', async (t) => {
  const { page, complaints } = await open(t, 'harbour');
  await page.getByLabel('Stock', { exact: true }).uncheck();
  await save(page);
  await reads(told(page), 'Saved.');
  await page.getByRole('link', { name: 'Overview' }).click();
  await until('the tiles are there', async () => (await page.locator('[data-panel=people]').count()) === 1);
  assert.equal(await page.locator('[data-panel=stock]').count(), 0);
  assert.deepEqual(complaints, []);
});

test('what is wrong stands at its field', async (t) => {
  const { page, complaints } = await open(t, 'harbour');
  await page.getByLabel('Currency', { exact: true }).fill('euro');
  await save(page);
  await reads(field(page, 'Currency').getByRole('alert'), /three capital letters/);
  assert.equal((await get('harbour', '/v1/tenant')).currency, 'GBP');
  await page.getByLabel('Currency', { exact: true }).fill('EUR');
  await page.getByLabel('Time zone').fill('Mars/Base');
  await save(page);
  await reads(field(page, 'Time zone').getByRole('alert'), /IANA database/);
  await page.getByLabel('Time zone').fill('Europe/Dublin');
  await page.getByLabel('Colour by day', { exact: true }).fill('#ffcc00');
  await reads(page.locator('.doubt'), /contrast is 1\.5/);
  await save(page);
  await reads(field(page, 'Colour by day').getByRole('alert'), /choose a darker one/);
  await page.getByRole('button', { name: /^Use #/ }).click();
  await save(page);
  await reads(told(page), 'Saved.');
  const tenant = await get('harbour', '/v1/tenant');
  assert.deepEqual([tenant.currency, tenant.timezone], ['EUR', 'Europe/Dublin']);
  const svg = { name: 'logo.svg', mimeType: 'image/svg+xml', buffer: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>') };
  await page.getByLabel('Logo', { exact: true }).setInputFiles(svg);
  await reads(field(page, 'Logo').getByRole('alert'), /cannot be read as a picture/);
  assert.deepEqual(unexpected(complaints), []);
});

test('what the firm chose is read, whatever it chose', async (t) => {
  const { page } = await open(t, 'harbour');
  for (const colour of ['#ffff00', '#808080', '#000000', '#ffffff', '#ff0044', '#00ff88']) {
    await page.getByLabel('Colour by day', { exact: true }).fill(colour);
    const contrasts = await page.evaluate(() => {
      const luminance = (text) => {
        const [r, g, b] = text.match(/\d+/g).map(Number).map((part) => {
          const share = part / 255;
          return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const contrast = (a, b) => {
        const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
        return (high + 0.05) / (low + 0.05);
      };
      return [...document.querySelectorAll('[data-preview]')].flatMap((preview) => {
        const style = (selector) => getComputedStyle(preview.querySelector(selector));
        return [
          contrast(style('.link').color, style('.tile').backgroundColor),
          contrast(style('.button').color, style('.button').backgroundColor),
        ];
      });
    });
    assert.equal(contrasts.length, 4);
    for (const contrast of contrasts) assert.ok(contrast >= 4.5, `${colour}: ${contrasts}`);
  }
});

test('settings are for admins alone', async (t) => {
  const executive = await open(t, 'north', { role: 'executive' });
  await reads(executive.page.locator('main'), /Settings are for admins/);
  assert.equal(await settings(executive.page).count(), 0);
  const analyst = await open(t, 'north', { role: 'analyst', path: '/' });
  await until('the pages are offered', async () => (await analyst.page.getByRole('link', { name: 'SQL' }).count()) === 1);
  assert.equal(await settings(analyst.page).count(), 0);
  assert.deepEqual([...executive.complaints, ...analyst.complaints], []);
});

test('a newer version of the template is looked at, settled and taken over', async (t) => {
  const { page, complaints } = await open(t, 'north', { path: '/' });
  await reads(settings(page), 'Settings. A newer version of your template is there');
  await settings(page).click();
  await reads(page.locator('[data-template=newer] p').first(), /^Kiosk: version 2 is there; yours is 1\./);
  for (const [state, title] of [
    ['changed-by-both', 'Stock'], ['changed-by-template', 'Sales'], ['removed-by-template', 'Old'],
  ]) await reads(page.locator(`[data-state=${state}] [data-part] b`), title);
  const fresh = await page.locator('[data-state=new] [data-part] b').allTextContents();
  assert.deepEqual(fresh, ['People', 'Returns', 'Sweep the floor']);
  assert.equal(await page.getByLabel('People', { exact: true }).isChecked(), false);
  const conflict = page.locator('[data-conflict]');
  assert.equal(await conflict.getAttribute('data-conflict'), TITLE);
  await reads(conflict, /^Stock: widgets › about › title ?It was ?What this shows ?The template has ?What stands here ?You have ?Our shelves$/);
  await shot(page, 'settings-template');
  // Nothing is done before everything is decided; the first that is not has the focus.
  await apply(page);
  assert.equal(await conflict.locator('input:focus').count(), 1);
  await reads(page.locator('[data-template] .buttons'), /^One choice is left\./);
  assert.equal((await get('north', '/v1/tenant/template')).version, 1);
  await conflict.getByRole('radio', { name: /^The template has/ }).check();
  await reads(page.locator('[data-template] .buttons'), /^Everything is decided\./);
  await page.getByLabel('What becomes of Sales').selectOption('ours');
  await apply(page);
  await reads(page.locator('.done'), /^Version 2 is taken over\./);
  for (const done of [/Module People: switched on/, /Stock: has the changes of both/, /Returns: added/, /Sweep the floor: added/, /Sales: kept as you have it/]) await reads(page.locator('.done'), done);
  await reads(settings(page), 'Settings');
  // Saving the firm then leaves on what was switched on.
  await until('the module is on here too', async () => page.getByLabel('People', { exact: true }).isChecked());
  await page.getByLabel('Name', { exact: true }).fill('Kiosk North');
  await save(page);
  await reads(told(page), 'Saved.');
  assert.deepEqual((await get('north', '/v1/tenant')).modules, ['invoicing', 'hr', 'inventory', 'tasks']);
  assert.equal((await get('north', '/v1/tenant/template')).version, 2);
  assert.equal((await widget('north', 'stock', 'about')).title, 'What stands here');
  assert.equal((await widget('north', 'stock', 'help')).show.text, 'Count every day');
  assert.equal((await widget('north', 'sales', 'about')).show.text, 'Of the day');
  assert.equal((await widget('north', 'returns', 'about')).show.text, 'What came back');
  assert.equal((await widget('north', 'old', 'about')).title, 'Old');
  assert.deepEqual(complaints, []);
});

test('what somebody else changed meanwhile is not passed over', async (t) => {
  const { page, complaints } = await open(t, 'south');
  await page.getByRole('radio', { name: /^You have/ }).check();
  await retitle('south', 'Shelves of ours');
  await apply(page);
  await reads(page.locator('[data-template] .problem'), /Somebody changed something meanwhile/);
  await reads(page.locator('[data-conflict]'), /You have ?Shelves of ours$/);
  assert.equal((await get('south', '/v1/tenant/template')).version, 1);
  await apply(page);
  await reads(page.locator('.done'), /^Version 2 is taken over\./);
  assert.equal((await widget('south', 'stock', 'about')).title, 'Shelves of ours');
  assert.equal((await widget('south', 'stock', 'help')).show.text, 'Count every day');
  assert.deepEqual(unexpected(complaints), []);
});

test('a break before or after it is done is said, and nothing is done twice', async (t) => {
  const { page } = await open(t, 'east');
  await page.getByLabel('What becomes of Stock').selectOption('theirs');
  assert.equal(await page.locator('[data-conflict]').count(), 0, 'all of it is settled');
  const update = '**/v1/tenant/template/update';
  await page.route(update, (route) => route.abort());
  await apply(page);
  await reads(page.locator('[data-template] .problem'), /cannot be reached.*not done twice/);
  await page.unroute(update);
  await page.route(update, async (route) => {
    await route.fetch();
    await route.abort();
  });
  await apply(page);
  await reads(page.locator('.done'), /^Version 2 is taken over\.$/);
  assert.equal((await get('east', '/v1/tenant/template')).version, 2);
  assert.equal((await widget('east', 'stock', 'about')).title, 'What stands here');
});

test('nothing scrolls sideways on a phone', async (t) => {
  const { page, complaints } = await open(t, 'west', { width: 360, height: 740 });
  await until('the conflict is shown', async () => (await page.locator('[data-conflict]').count()) === 1);
  assert.equal(await overflow(page), 0);
  await shot(page, 'settings-phone');
  assert.deepEqual(complaints, []);
});
