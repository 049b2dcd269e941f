// A real browser, and looking at what stands in its pages.
import { chromium } from 'playwright-core';
import { until } from './service.js';

/** With further arguments for it. */
export function launch(...more) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', ...more],
  });
}

/** Opens an address in a context of its own; what the page complains about is gathered in `complaints`. */
export async function open(t, browser, address, { width = 1280, height = 900, colorScheme = 'light', permissions } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, reducedMotion: 'reduce', colorScheme, permissions });
  t.after(() => context.close());
  const page = await context.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    // Content-security violations and failed loads are console errors too.
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  await page.goto(address);
  return { page, context, complaints };
}

/** Complaints but for refusals of the service, which the browser notes too. */
export const unexpected = (complaints) => complaints.filter((text) => !/status of 4\d\d/.test(text));

/** How much wider the page is than the window. */
export const overflow = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

export const textOf = async (locator) => (await locator.textContent())?.replaceAll(/\s+/g, ' ').trim() ?? '';

export async function reads(locator, expected, seconds = 30) {
  let text = '';
  await until(`it reads ${expected}`, async () => {
    text = await textOf(locator);
    return typeof expected === 'string' ? text === expected : expected.test(text);
  }, seconds).catch((error) => {
    throw new Error(`it reads "${text}", not ${expected}`, { cause: error });
  });
}

export const hasFocus = (locator) => locator.evaluate((element) => element === element.ownerDocument.activeElement);

/** Goes on with Tab until it is reached. */
export async function tabTo(page, locator, most = 60) {
  for (let n = 0; n < most; n += 1) {
    await page.keyboard.press('Tab');
    if (await hasFocus(locator)) return;
  }
  throw new Error(`Tab does not lead to ${locator}`);
}

/** A figure of the overview. */
export const figure = (page, name) => page.locator(`[data-figure=${name}] .figure`).first();
