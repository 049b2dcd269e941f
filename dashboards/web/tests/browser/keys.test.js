// The page by the keys alone, and what is read out of it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { figure, hasFocus, launch, open as openPage, reads, tabTo, textOf } from './browser.js';
import { FIRM, furnish } from './firm.js';
import { Service, tokenOf, until } from './service.js';

/** @type {Service} */
let service;
/** @type {import('playwright-core').Browser} */
let browser;
/** The ids of what the firm's people have made. */
let made;

before(async () => {
  service = await Service.start();
  made = await furnish(service);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await service?.stop();
});

async function open(t, path, role = 'executive') {
  const opened = await openPage(t, browser, `${service.address}${path}#token=${await tokenOf(role, role, FIRM.id)}`);
  await reads(opened.page.locator('[data-link]').first(), /^Live/);
  return opened;
}

const isAt = (what, locator) => until(`the focus is at ${what}`, async () => (await locator.count()) === 1 && hasFocus(locator), 20);
const isGone = (what, locator) => until(`${what} is gone`, async () => (await locator.count()) === 0);
const drawer = (page, name) => page.locator(`[data-drawer=${name}]`);
const press = async (page, ...keys) => {
  for (const key of keys) await page.keyboard.press(key);
};
/** Whether the focus is within. */
const isWithin = (locator) => locator.evaluate((element) => element.contains(element.ownerDocument.activeElement));

test('the first key leads past the head of the page, and each page begins at its content', async (t) => {
  const { page, complaints } = await open(t, '/');
  await reads(figure(page, 'receivables'), /GBP$/);
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'en');
  const skip = page.getByRole('link', { name: 'Skip to the content' });
  await press(page, 'Tab');
  await isAt('the way past the head', skip);
  await until('it is seen', async () => ((await skip.boundingBox())?.y ?? -1) >= 0);
  await press(page, 'Enter');
  await isAt('the content', page.locator('main'));
  await press(page, 'Tab');
  await isAt('the first figure', page.locator('[data-figure]').first());
  assert.equal(page.url(), `${service.address}/`, 'the address stays');
  await page.reload();
  await reads(figure(page, 'receivables'), /GBP$/);
  for (const [name, title] of [['Projects', /^Projects · /], ['Dashboards', /^Dashboards · /], ['Overview', /^Harbour/]]) {
    await tabTo(page, page.getByRole('navigation').getByRole('link', { name, exact: true }));
    await press(page, 'Enter');
    await until(`the title says ${name}`, async () => title.test(await page.title()));
    await isAt(`the content of ${name}`, page.locator('main'));
    // Back to the head of the page.
    await skip.focus();
  }
  assert.deepEqual(complaints, []);
});

test('whatever has the focus shows it', async (t) => {
  const { page } = await open(t, '/');
  await reads(figure(page, 'receivables'), /GBP$/);
  const seen = new Set();
  for (let n = 0; n < 60; n += 1) {
    await press(page, 'Tab');
    const { name, isShown } = await page.evaluate(() => {
      const element = document.activeElement;
      const marks = (style) => style.outlineStyle !== 'none' && Number.parseFloat(style.outlineWidth) >= 2;
      const box = element.getBoundingClientRect();
      const hasRoom = box.width > 8 && box.height > 8 && box.bottom > 0 && box.top < innerHeight;
      return {
        name: element === document.body ? '' : element.outerHTML.slice(0, 120),
        isShown: hasRoom && (marks(getComputedStyle(element)) || marks(getComputedStyle(element, '::after'))),
      };
    });
    if (name === '') break;
    seen.add(name);
    assert.ok(isShown, `it is not seen where the focus is: ${name}`);
  }
  assert.ok(seen.size > 20, `${seen.size} places have the focus in turn`);
});

test('a figure leads to its rows and its events, and each gives the focus back', async (t) => {
  const { page, complaints } = await open(t, '/');
  const overdue = page.locator('[data-figure=overdue]');
  await reads(figure(page, 'overdue'), /GBP$/);
  await tabTo(page, overdue);
  await press(page, 'Enter');
  await isAt('the title of the rows', drawer(page, 'rows').locator('h2'));
  const first = drawer(page, 'rows').locator('tbody td[data-column=balance] button').first();
  await tabTo(page, first);
  await press(page, 'Enter');
  await isAt('the title of the events', drawer(page, 'why').locator('h2'));
  // Nothing beneath has the focus while it is open.
  for (let n = 0; n < 12; n += 1) {
    await press(page, 'Tab');
    const isOut = await page.evaluate(() => document.activeElement !== document.body
      && !document.querySelector('[data-drawer=why]').contains(document.activeElement));
    assert.equal(isOut, false, 'the focus stays within');
  }
  await press(page, 'Escape');
  await isGone('the events', drawer(page, 'why'));
  await isAt('the figure', first);
  await press(page, 'Escape');
  await isGone('the rows', drawer(page, 'rows'));
  await isAt('the first figure again', overdue);
  assert.deepEqual(complaints, []);
});

test('a table is sorted and scrolled', async (t) => {
  const { page, complaints } = await open(t, '/customers');
  const rows = drawer(page, 'rows');
  await until('there are rows', async () => (await rows.locator('tbody tr').count()) > 20);
  const header = rows.getByRole('columnheader', { name: 'Customer' });
  await tabTo(page, rows.getByRole('region'));
  const region = rows.getByRole('region');
  const top = () => region.evaluate((element) => element.scrollTop);
  await press(page, 'End');
  await until('its end is in sight', async () => (await top()) > 500);
  await reads(rows.locator('tbody tr:not(.space)').last(), /Small 00|Delta|Bluewater|Nordlicht/);
  await press(page, 'Home');
  await until('its beginning is in sight', async () => (await top()) === 0);
  await tabTo(page, header.getByRole('button'));
  await press(page, 'Enter');
  await until('it is sorted', async () => (await header.getAttribute('aria-sort')) === 'ascending');
  await reads(rows.locator('tbody tr').first(), /^Bluewater/);
  await press(page, 'Enter');
  await until('it is sorted the other way', async () => (await header.getAttribute('aria-sort')) === 'descending');
  assert.equal(await hasFocus(header.getByRole('button')), true);
  await press(page, '/');
  await page.keyboard.type('nord');
  await reads(rows.locator('[data-counted]'), /^1 of \d\d rows/);
  assert.deepEqual(complaints, []);
});

test('a dashboard is opened, its menu used, and what it opens gives the focus back', async (t) => {
  const { page, complaints } = await open(t, '/dashboards');
  const link = page.locator(`[data-dashboard="${made.board}"]`);
  await until('it is listed', async () => (await link.count()) === 1);
  await tabTo(page, link);
  await press(page, 'Enter');
  await reads(page.locator('main h2'), 'Every kind');
  await isAt('the content', page.locator('main'));
  const number = page.locator('[data-widget=kpi] p.figure a').first();
  await until('the number is there', async () => (await number.count()) === 1);
  await tabTo(page, number);
  await press(page, 'Enter');
  await until('its rows are open', async () => (await drawer(page, 'rows').count()) === 1 && isWithin(drawer(page, 'rows')));
  await press(page, 'Escape');
  await isGone('the rows', drawer(page, 'rows'));
  await isAt('the number', number);
  const menu = page.getByRole('button', { name: 'What can be done with Debtors', exact: true });
  await until('it is drawn', async () => (await page.locator('[data-widget=bar] canvas').count()) > 0);
  await tabTo(page, menu);
  await press(page, 'Enter', 'ArrowDown');
  await isAt('its first entry', page.getByRole('link', { name: 'Show rows', exact: true }));
  await press(page, 'Enter');
  await until('its rows are open', async () => (await drawer(page, 'rows').count()) === 1 && isWithin(drawer(page, 'rows')));
  await press(page, 'Escape');
  await isGone('the rows', drawer(page, 'rows'));
  await isAt('the menu', menu);
  await press(page, 'Enter', 'ArrowDown', 'ArrowDown');
  await isAt('the way to a table', page.getByRole('button', { name: 'Show as table', exact: true }));
  await press(page, 'Enter');
  await isAt('the menu', menu);
  const line = page.locator('[data-widget=bar] tbody').getByRole('link').first();
  await tabTo(page, line);
  await press(page, 'Enter');
  await until('the rows of the line are open', async () => (await drawer(page, 'rows').locator('.limits').count()) === 1);
  await press(page, 'Escape');
  await isAt('the line', line);
  // The menu is left by going on.
  await menu.focus();
  await press(page, 'Enter');
  assert.equal(await menu.getAttribute('aria-expanded'), 'true');
  await press(page, 'Shift+Tab');
  await until('it is closed', async () => (await menu.getAttribute('aria-expanded')) === 'false');
  // What has more words than room is scrolled by keys.
  const words = page.locator('[data-widget=text] .body');
  await until('it can be reached', async () => (await words.getAttribute('role')) === 'region');
  await words.focus();
  await press(page, 'End');
  await until('its end is in sight', async () => (await words.evaluate((element) => element.scrollTop)) > 0);
  assert.deepEqual(complaints, []);
});

test('dialogs give the focus back', async (t) => {
  const { page } = await open(t, '/dashboards', 'analyst');
  const make = page.getByRole('button', { name: 'New dashboard' });
  await until('it is offered', async () => (await make.count()) === 1);
  await tabTo(page, make);
  await press(page, 'Enter');
  await isAt('the name', page.getByLabel('Name', { exact: true }));
  await press(page, 'Escape');
  await isGone('the dialog', page.getByRole('dialog'));
  await isAt('what opened it', make);
  await page.goto(`${service.address}/dashboards/${made.board}/edit`);
  const remove = page.getByRole('button', { name: 'Delete', exact: true });
  await until('the editor is there', async () => (await remove.count()) === 1);
  await remove.focus();
  await press(page, 'Enter');
  await until('it is asked', async () => (await page.getByRole('dialog').count()) === 1);
  await press(page, 'Escape');
  await isAt('what opened it', remove);
});

test('a result of SQL is gone through and sorted', async (t) => {
  const { page } = await open(t, '/sql', 'analyst');
  await until('the editor is there', async () => (await page.locator('[data-editor=ready]').count()) === 1);
  await page.getByRole('textbox', { name: 'SQL' }).click();
  await page.keyboard.insertText('SELECT value AS n, -value AS m FROM generate_series(1, 500)');
  await press(page, 'Escape', 'Control+Enter');
  const grid = page.getByRole('grid');
  await until('there are rows', async () => (await grid.count()) === 1);
  await tabTo(page, grid);
  const active = () => grid.evaluate((table) => {
    const id = table.getAttribute('aria-activedescendant');
    return id === null ? null : table.querySelector(`#${id}`)?.textContent ?? 'nothing';
  });
  await press(page, 'ArrowDown', 'ArrowDown', 'ArrowRight');
  assert.equal(await active(), '−2');
  await press(page, 'Control+End');
  await until('the last one is read', async () => (await active()) === '−500');
  // A cell that is not in sight is not there to be pointed at.
  await grid.evaluate((table) => (table.parentElement.scrollTop = 0));
  await until('it points at none', async () => (await active()) === null);
  await tabTo(page, grid.getByRole('button', { name: 'Sort by m' }));
  await press(page, 'ArrowLeft');
  await isAt('the header beside it', grid.getByRole('button', { name: 'Sort by n' }));
  await press(page, 'Enter');
  await reads(grid.locator('tbody tr:not(.space)').first(), /500/);
});

test('what changes all the time is not read out all the time', async (t) => {
  const { page } = await open(t, '/invoices');
  const counted = drawer(page, 'rows').locator('[data-counted]');
  await reads(counted, /^64 of 64 rows|^64 rows/);
  await page.evaluate(() => {
    window.spoken = [];
    window.counts = 0;
    new MutationObserver((changes) => {
      const told = new Set();
      for (const { target } of changes) {
        const element = target instanceof Element ? target : target.parentElement;
        if (element?.closest('[data-counted]')) window.counts += 1;
        const region = element?.closest('[aria-live], [role=status], [role=alert], [role=log]');
        if (region && region.getAttribute('aria-live') !== 'off') told.add(region);
      }
      for (const region of told) window.spoken.push(region.textContent.trim());
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  const began = Date.now();
  for (let n = 0; n < 20; n += 1) {
    await service.post(FIRM.id, ['invoicing.invoice_issued', {
      invoice_id: `Later ${n}`, customer_id: 'Nordlicht', issue_date: '2026-01-05', due_date: '2026-02-04', amount: '10',
    }]);
    await reads(counted, new RegExp(`^${65 + n} rows`));
  }
  const { spoken, counts } = await page.evaluate(() => ({ spoken: window.spoken, counts: window.counts }));
  assert.ok(counts >= 20, 'each change is shown');
  // One at once, and one in five seconds.
  const most = 2 + Math.ceil((Date.now() - began) / 5_000);
  assert.ok(spoken.length <= most, `${spoken.length} times in ${Date.now() - began} ms: ${spoken.join(' | ')}`);
  await until('the last of them is read out', async () => (await page.evaluate(() => window.spoken.at(-1))) === '84 rows', 20);
  // Whoever asked for less movement has none.
  assert.equal(await page.evaluate(() => document.getAnimations().filter((one) => one.playState === 'running').length), 0);
  assert.match(await textOf(page.locator('[data-link]').first()), /^Live/);
});
