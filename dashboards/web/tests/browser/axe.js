// axe-core within a page. The page's policy lets in no script but its own, and is not weakened for this: what
// the browser's protocol evaluates is not under it.
import assert from 'node:assert/strict';
import axe from 'axe-core';

/** What keeps somebody from using the page, or makes it hard. */
const HEAVY = ['serious', 'critical'];

/** By night nothing but the colours is another than by day, and on a phone they are the same. */
function look() {
  if (matchMedia('(prefers-color-scheme: dark)').matches) return { runOnly: { type: 'rule', values: ['color-contrast'] } };
  return innerWidth < 500 ? { rules: { 'color-contrast': { enabled: false } } } : {};
}

/** What the browser has over the page, axe-core takes to lie under whatever has a level there: it knows of none. */
function raise() {
  for (const box of document.querySelectorAll('dialog:modal')) box.style.zIndex = '9999';
}

/** Fails with everything that is found, where it is, and what would mend it. */
export async function isAccessible(page, what) {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe.source);
  await page.evaluate(raise);
  // Style sheets are not fetched again, which needs elements that the policy refuses.
  const options = { preload: false, resultTypes: ['violations'], ...(await page.evaluate(look)) };
  const { violations, passes } = await page.evaluate((given) => window.axe.run(document, given), options);
  assert.ok(passes.length > ('runOnly' in options ? 0 : 5), `${what}: axe looked at too little`);
  const found = violations.filter(({ impact }) => HEAVY.includes(impact)).flatMap(({ id, impact, help, nodes }) =>
    nodes.map(({ target, html, failureSummary }) => `${impact} ${id}: ${help}\n  ${target.join(' ')}\n  ${html}\n  ${failureSummary}`));
  assert.equal(found.length, 0, `${what}:\n${found.join('\n\n')}`);
}
