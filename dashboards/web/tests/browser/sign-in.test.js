// Signing in by an issuer, in a real browser against the real service.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open as openPage, textOf } from './browser.js';
import { Issuer } from './issuer.js';
import { Service, until } from './service.js';

/** @type {Issuer} */
let issuer;
/** @type {Service} */
let service;
/** @type {import('playwright-core').Browser} */
let browser;

before(async () => {
  issuer = await Issuer.start();
  service = await Service.start({
    TIDEMARK_OIDC_ISSUER: issuer.address,
    TIDEMARK_OIDC_AUDIENCE: 'figures',
    TIDEMARK_OIDC_CLIENT_ID: 'page',
    TIDEMARK_OIDC_CLIENT_SECRET: 'hush',
    TIDEMARK_OIDC_PLATFORM_CLIENT_ID: 'operators',
    TIDEMARK_OIDC_PLATFORM_CLIENT_SECRET: 'hush too',
    TIDEMARK_OIDC_CLAIMS_TENANT: 'firm.id',
  });
  await service.createTenant({ id: 'quay', name: 'Quay & Sons', timezone: 'UTC', currency: 'EUR', clock: 'fixed:2026-03-31' });
  browser = await launch('--host-resolver-rules=MAP figures.test 127.0.0.1');
});

after(async () => {
  await browser?.close();
  await service?.stop();
  issuer?.stop();
});

const open = (t, path = '/') => openPage(t, browser, service.address + path);

const button = (page) => page.getByRole('button', { name: /^Sign in with 127\.0\.0\.1/ });
const heading = (page, text) =>
  until(`the heading is ${text}`, async () => (await page.locator('h1').first().textContent()) === text, 30);
const alert = (page, text) =>
  until(`the alert says ${text}`, async () => text.test((await page.getByRole('alert').textContent()) ?? ''), 30);

test('a person signs in at the issuer, comes back to the place and stays signed in', async (t) => {
  issuer.claims = { firm: { id: 'quay' }, roles: ['executive'] };
  const { page, complaints } = await open(t, '/invoices?customer_id=C7');
  await button(page).click();
  await until('the rows are open', async () => (await page.locator('dialog').count()) === 1);
  await heading(page, 'Quay & Sons');
  assert.equal(page.url(), `${service.address}/invoices?customer_id=C7`);
  assert.equal(await page.evaluate(() => sessionStorage.length), 1, 'nothing but the token is kept');
  await page.reload();
  await heading(page, 'Quay & Sons');
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await heading(page, 'Sign in');
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  assert.deepEqual(complaints, []);
});

test('whoever the issuer refuses, or the service, is told so', async (t) => {
  issuer.claims = null;
  const { page } = await open(t);
  await button(page).click();
  await alert(page, /access_denied/);
  assert.equal(page.url(), `${service.address}/`);
  issuer.claims = { roles: ['executive'] };
  await button(page).click();
  await alert(page, /firm\.id/);
  issuer.claims = { firm: { id: 'quay' }, roles: ['service'] };
  await button(page).click();
  await alert(page, /may not read figures/);
});

test('an operator signs in as one, and no tenant’s page knows of it', async (t) => {
  issuer.claims = { roles: ['platform'] };
  const { page, complaints } = await open(t, '/platform');
  await heading(page, 'Sign in as an operator');
  await button(page).click();
  await until('the tenants are counted', async () => (await textOf(page.locator('dl div').first())) === 'Tenants 1');
  assert.equal(page.url(), `${service.address}/platform`);
  const kept = () => page.evaluate(() => Object.keys(sessionStorage));
  assert.deepEqual(await kept(), ['tidemark.platform.token']);
  await page.goto(`${service.address}/`);
  await heading(page, 'Sign in');
  // Beside it a tenant's account is signed in in the same tab, and neither is the other's.
  issuer.claims = { firm: { id: 'quay' }, roles: ['executive'] };
  await button(page).click();
  await heading(page, 'Quay & Sons');
  assert.deepEqual((await kept()).sort(), ['tidemark.platform.token', 'tidemark.token']);
  await page.goto(`${service.address}/platform`);
  await until('the operator is there still', async () => (await textOf(page.locator('dl div').first())) === 'Tenants 1');
  assert.deepEqual(complaints, []);
});

test('neither page takes an account of the other', async (t) => {
  issuer.claims = { firm: { id: 'quay' }, roles: ['executive'] };
  const { page } = await open(t, '/platform');
  await button(page).click();
  await alert(page, /belongs to a tenant/);
  assert.equal(page.url(), `${service.address}/platform`);
  issuer.claims = { roles: ['platform'] };
  await page.goto(`${service.address}/`);
  await button(page).click();
  await alert(page, /an operator's/);
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await page.goto(`${service.address}/platform?code=stolen&state=made-up`);
  await alert(page, /not begun in this tab/);
});

test('an address that was not asked for signs nobody in', async (t) => {
  const { page } = await open(t, '/?code=stolen&state=made-up');
  await alert(page, /not begun in this tab/);
  assert.equal(page.url(), `${service.address}/`);
});

test('a token can be pasted all the same', async (t) => {
  const { page } = await open(t);
  await page.getByText('Use an access token instead').click();
  await page.getByLabel('Access token').fill(await service.token('executive', 'quay'));
  await page.getByRole('button', { name: 'Open the overview' }).click();
  await heading(page, 'Quay & Sons');
});

test('a link signs nobody in who was not asked', async (t) => {
  const context = await browser.newContext({ reducedMotion: 'reduce' });
  t.after(() => context.close());
  const page = await context.newPage();
  const [mine, theirs] = [await service.token('executive', 'quay'), await service.token('admin', 'quay')];
  const kept = () => page.evaluate(() => sessionStorage.getItem('tidemark.token'));
  const question = page.getByRole('dialog', { name: 'Sign in by this link?' });

  // On this machine, where nobody is signed in, it is taken.
  await page.goto(`${service.address}/#token=${mine}`);
  await heading(page, 'Quay & Sons');
  // Over a sign-in it is not, here or anywhere.
  await page.goto(`${service.address}/#token=${theirs}`);
  await question.waitFor();
  assert.equal(await kept(), mine);
  assert.ok(!page.url().includes('token'), 'the token is not left in the address');
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/link-offer.png` });
  await page.keyboard.press('Escape');
  await until('it is gone', async () => (await question.count()) === 0);
  assert.equal(await kept(), mine);
  await page.goto(`${service.address}/#token=${theirs}`);
  await question.getByRole('button', { name: 'Sign in' }).click();
  await until('it is taken', async () => (await kept()) === theirs);

  // Of a host that is not this machine it is asked about even if nobody is signed in.
  await context.clearCookies();
  const elsewhere = service.address.replace('127.0.0.1', 'figures.test');
  await page.goto(`${elsewhere}/#token=${theirs}`);
  await question.waitFor();
  assert.equal(await kept(), null);
  await question.getByRole('button', { name: 'Close' }).click();
  assert.equal(await kept(), null);
  await page.goto(`${elsewhere}/#token=not.a.token`);
  await until('it is refused', async () => (await question.getByRole('alert').count()) === 1);
});
