// The operators' page in a real browser against the real service.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open as openPage, textOf } from './browser.js';
import { Service, until } from './service.js';

/** @type {Service} */
let service;
/** @type {import('playwright-core').Browser} */
let browser;

const COUNT = 60;
const id = (n) => `firm-${String(n).padStart(2, '0')}`;

before(async () => {
  service = await Service.start();
  for (let n = 0; n < COUNT; n += 1) {
    await service.createTenant({
      id: id(n), name: `Firm ${n} Ltd`, timezone: 'UTC', currency: 'EUR', clock: 'fixed:2026-03-31',
      ...(n % 3 === 0 ? { vertical: 'services' } : {}),
    });
  }
  await service.post(id(7), ...Array.from({ length: 20 }, (_, n) => (
    ['crm.call_logged', { call_id: `C${n}`, user_id: 'ada', disposition: 'reached', duration_s: 60 }]
  )));
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await service?.stop();
});

const open = async (t, { token, path = '/platform', height = 800, ...more } = {}) =>
  openPage(t, browser, `${service.address}${path}${token ? `#token=${token}` : ''}`, { height, ...more });

const first = (page) => page.locator('tbody tr:not(.space)').first();

test('all tenants stand in one table, and each look is recorded', async (t) => {
  const { page, complaints } = await open(t, { token: await service.token('platform') });
  await until('the totals are there', async () => (await textOf(page.locator('dl div').first())) === 'Tenants 60');
  assert.equal(await page.locator('table').getAttribute('aria-rowcount'), String(COUNT + 1));
  // Only lines in sight are in the page, and all can be reached.
  assert.ok(await page.locator('tbody tr:not(.space)').count() < COUNT + 1);
  assert.ok(!page.url().includes('token'), 'the token is not left in the address');
  const { tenants, totals } = await service.call('GET', '/v1/platform/overview', await service.token('platform'));
  assert.equal(tenants.length, COUNT);
  assert.equal(totals.tenants, COUNT);
  const one = tenants.find((tenant) => tenant.id === id(7));
  assert.equal(one.state, 'live');
  assert.ok(one.events >= 20 && one.memory_bytes > 0 && one.lag === 0, JSON.stringify(one));
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/platform.png` });
  assert.deepEqual(complaints, []);
});

test('everything can be done with the keys', async (t) => {
  const { page } = await open(t, { token: await service.token('platform') });
  await until('the lines are there', async () => (await page.locator('tbody tr').count()) > 5);
  await page.keyboard.press('/');
  await page.keyboard.type('firm-07');
  await until('one is left', async () => (await page.locator('tbody tr').count()) === 1);
  assert.match(await textOf(first(page)), /^firm-07Firm 7 Ltd ?live/);
  await page.keyboard.press('Escape');
  await until('all are back', async () => (await page.locator('tbody tr').count()) > 5);
  await page.keyboard.press('End');
  await until('the last is chosen', async () => (await textOf(page.locator('tr.chosen'))).startsWith('firm-59'));
  assert.ok(await page.locator('tr.chosen').isVisible());
  await page.keyboard.press('Home');
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await until('its details are open', async () => (await textOf(page.locator('aside'))).startsWith('firm-01'));
  await page.keyboard.press('Escape');
  await until('they are closed', async () => (await page.locator('aside').count()) === 0);
  await page.getByRole('button', { name: 'Events', exact: true }).focus();
  await page.keyboard.press('Enter');
  await until('the busiest stands first', async () => (await textOf(first(page))).startsWith('firm-07'));
});

test('an operator and a tenant’s people never share a sign-in', async (t) => {
  const executive = await service.token('executive', id(1));
  const { page } = await open(t, { token: executive });
  await until('it is refused', async () => (await textOf(page.locator('[role=alert]'))).includes('not an operator'));
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  // Signed in as both in one tab: each page knows its own only.
  await page.goto(`${service.address}/#token=${executive}`);
  await until('the firm is shown', async () => (await textOf(page.locator('h1'))) === 'Firm 1 Ltd');
  await page.goto(`${service.address}/platform`);
  await until('the sign-in is shown', async () => (await textOf(page.locator('h1'))) === 'Sign in as an operator');
  await page.goto(`${service.address}/#token=${await service.token('platform')}`);
  await until('the firm’s page refuses it', async () => (await page.locator('[role=alert]').count()) === 1);
  const kept = await page.evaluate(() => Object.keys(sessionStorage));
  assert.ok(!kept.includes('tidemark.platform.token'), kept.join());
});

test('a phone shows what matters without scrolling sideways', async (t) => {
  const { page } = await open(t, { token: await service.token('platform'), width: 360, height: 740 });
  await until('the lines are there', async () => (await page.locator('tbody tr').count()) > 3);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.equal(wide, false);
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/platform-phone.png` });
});

test('a service that does not answer is told at once', async (t) => {
  const { page } = await open(t, { token: await service.token('platform') });
  await until('the lines are there', async () => (await page.locator('tbody tr').count()) > 3);
  await service.kill();
  await page.keyboard.press('r');
  await until('it is told', async () => (await textOf(page.locator('[role=alert]'))).startsWith('Figures stand since'));
  assert.ok(await page.locator('tbody tr').count() > 3, 'the figures stay');
  await service.up();
  await page.keyboard.press('r');
  await until('it is back', async () => (await page.locator('[role=alert]').count()) === 0);
});
