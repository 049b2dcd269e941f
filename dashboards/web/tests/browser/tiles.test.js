// Sixty tiles that are live at once, on one connection of a page that has shown others before; and that a page
// which goes on for long keeps no more for it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { figure, launch, open, reads } from './browser.js';
import { Service, tokenOf, until } from './service.js';
import { customer, issued, MIXED, NUMBERS, paid, TILES, watch } from './tiles.js';

/** @type {Service} */
let service;
/** @type {import('playwright-core').Browser} */
let browser;
/** The ids of the dashboards. */
const boards = {};

const FIRM = { id: 'harbour', name: 'Harbour & Finch', timezone: 'Europe/London', currency: 'GBP', clock: 'fixed:2026-03-31' };
/** What a connection may have. */
const SUBSCRIPTIONS = 64;

before(async () => {
  service = await Service.start();
  await service.createTenant(FIRM);
  await service.post(FIRM.id, ...Array.from({ length: TILES }, (_, n) => issued(`I${n}`, n, 100 + n)));
  const token = await service.token('analyst', FIRM.id);
  for (const [name, document] of Object.entries({ NUMBERS, MIXED })) {
    const { id } = await service.call('POST', '/v1/dashboards', token, JSON.stringify({ name, document }));
    boards[name] = id;
  }
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await service?.stop();
});

const everyOne = { length: TILES };

async function isShown(page) {
  await until('all tiles are there', async () => (await page.locator('.widget').count()) === TILES);
  await until('all tiles show their rows', async () => (await page.locator('.widget [aria-busy=true]').count()) === 0);
  assert.equal(await page.locator('.widget [role=alert]').count(), 0);
}

/** The whole amounts that the numbers show, in their order. */
const amounts = (page) => page.locator('.widget p.figure .figure').evaluateAll((all) =>
  all.map((one) => Number(one.textContent.replaceAll(/[^\d.]/g, ''))));

test('sixty tiles are live, one dashboard after another, within what a connection may follow', async (t) => {
  const { page, complaints } = await open(t, browser, 'about:blank');
  const told = watch(page);
  await page.goto(`${service.address}/#token=${await tokenOf('eve', 'executive', FIRM.id)}`);
  await reads(figure(page, 'receivables'), /GBP$/);
  // Within the page, so that all of it is on one connection.
  const visit = async (name) => {
    await page.getByRole('navigation').getByRole('link', { name: 'Dashboards', exact: true }).click();
    await page.locator(`[data-dashboard="${boards[name]}"]`).click();
    await reads(page.locator('main h2'), name);
    await isShown(page);
  };
  await visit('NUMBERS');
  assert.deepEqual(await amounts(page), Array.from(everyOne, (_, n) => 100 + n));
  // Rows and the events of a figure have room over them.
  await page.locator('[data-widget=n7] p.figure a').click();
  await reads(page.locator('[data-drawer=rows] tbody'), new RegExp(customer(7)));
  await page.locator('[data-drawer=rows] td[data-column=total] button').click();
  await reads(page.locator('[data-drawer=why] [data-agrees]'), /the same as the figure\.$/);
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await until('they are closed', async () => (await page.locator('dialog').count()) === 0);
  await service.post(FIRM.id, ...Array.from(everyOne, (_, n) => paid(`P${n}`, `I${n}`, 50)));
  await until('each of them has changed', async () => (await amounts(page)).every((amount, n) => amount === 50 + n));
  await visit('MIXED');
  await service.post(FIRM.id, ...Array.from(everyOne, (_, n) => issued(`J${n}`, n, 10)));
  await until('each number has changed', async () => (await amounts(page)).every((amount) => amount === 2));
  await until('each table has changed', async () => (await page.locator('.widget tbody tr').count()) === (TILES / 3) * 2);
  await visit('NUMBERS');
  await until('they are as they are now', async () => (await amounts(page)).every((amount, n) => amount === 60 + n));
  await page.getByRole('navigation').getByRole('link', { name: 'Overview' }).click();
  await reads(figure(page, 'receivables'), /GBP$/);
  assert.deepEqual(told.problems, []);
  assert.ok(told.most > TILES && told.most <= SUBSCRIPTIONS, `${told.most} subscriptions at once`);
  assert.deepEqual(complaints, []);
});

/** How many changes come before and while it is measured, and what they may leave behind. */
const [WARM, MEASURED, MOST_BYTES] = [1_500, 4_500, 3 << 20];

test('thousands of changes leave nothing behind', async (t) => {
  const { page, context, complaints } = await open(t, browser, 'about:blank');
  const told = watch(page);
  await page.goto(`${service.address}/dashboards/${boards.NUMBERS}#token=${await tokenOf('eve', 'executive', FIRM.id)}`);
  await isShown(page);
  const session = await context.newCDPSession(page);
  await session.send('HeapProfiler.enable');
  const used = async () => {
    await session.send('HeapProfiler.collectGarbage');
    await session.send('HeapProfiler.collectGarbage');
    return (await session.send('Runtime.getHeapUsage')).usedSize;
  };
  const nodes = async () => (await session.send('Memory.getDOMCounters')).nodes;
  let round = 0;
  /** Every customer is invoiced, and in the next round pays: each tile changes, and what there is stays the same. */
  const run = async (changes) => {
    const end = told.deltas + changes;
    while (told.deltas < end) {
      const number = Math.floor(round / 2);
      const facts = Array.from(everyOne, (_, n) => (round % 2 === 0
        ? issued(`R${number}-${n}`, n, 5) : paid(`Q${number}-${n}`, `R${number}-${n}`, 5)));
      const before = told.deltas;
      await service.post(FIRM.id, ...facts);
      await until('each tile is told', () => told.deltas >= before + TILES);
      round += 1;
    }
  };
  await run(WARM);
  const [before, nodesBefore] = [await used(), await nodes()];
  await run(MEASURED);
  const [grown, nodesGrown] = [(await used()) - before, (await nodes()) - nodesBefore];
  assert.ok(grown < MOST_BYTES, `${grown} bytes more after ${MEASURED} changes`);
  assert.ok(nodesGrown < 500, `${nodesGrown} more nodes after ${MEASURED} changes`);
  assert.deepEqual(told.problems, []);
  assert.deepEqual(complaints, []);
});
