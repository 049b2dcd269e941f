/**
 * Everything that the page says, by the part of it that says it: whoever translates it finds all of it here.
 * What is said once stands with what says it, so that it is fetched with it and not before; so this list is
 * for people and tests, and no part of the page takes its words from here.
 */
export { words as alerts } from './alerts/words';
export { words as boards } from './boards/words';
export { words as editor } from './boards/edit/words';
export { words as explanation } from './explanation/words';
export { issuing } from './lib/issuer_words';
export { linkOffer } from './lib/link_offer';
export { texts as page } from './lib/texts';
export { units } from './lib/units';
export { words as platform } from './platform/words';
export { words as project } from './project/words';
export { words as reports } from './reports/words';
export { words as settings } from './settings/words';
export { words as sql } from './sql/words';
export { words as work } from './work/words';
