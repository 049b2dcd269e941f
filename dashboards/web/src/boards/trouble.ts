/** Why a widget shows nothing, and what to do about it. */
import type { Problem } from '../lib/protocol';
import { viewTitle } from '../lib/tables';
import { texts } from '../lib/texts';
import type { Source } from './document';
import { words } from './words';

export interface Trouble {
  title: string;
  way: string;
  /** Whether it is something that is broken, and not only something that is not there for this reader. */
  isFailure: boolean;
  /** Whether asking again may help. */
  isPassing: boolean;
}

/** SQL is not followed for those who may not ask in it. */
export const SQL_REFUSED: Trouble = {
  title: words.refused.sql, way: words.refused.sqlWay, isFailure: false, isPassing: false,
};

/** What the service refused, in words of the reader. */
export function troubleOf(problem: Problem, source: Source | undefined): Trouble {
  const kind = problem.type?.split(':').at(-1) ?? '';
  const is = (title: string, way: string): Trouble => ({ title, way, isFailure: false, isPassing: false });
  if (kind === 'forbidden') return is(words.refused.sql, words.refused.sqlWay);
  if (kind === 'module-off') return is(words.refused.module, words.refused.moduleWay);
  if (kind === 'unknown-view' && source !== undefined && 'view' in source) {
    return { ...is(words.refused.view(source.view), words.refused.viewWay), isFailure: true };
  }
  return {
    title: problem.title ?? texts.failed, way: problem.detail ?? words.refused.failedWay, isFailure: true, isPassing: true,
  };
}

/** A column that a widget names and its rows do not have. */
export function missingColumn(name: string): Trouble {
  return { title: words.refused.column(name), way: words.refused.columnWay, isFailure: true, isPassing: false };
}

/** The views of the service itself, which are there as long as their modules are on. */
export const BUILT_IN: readonly string[] = Object.keys(words.empty.fills);

export function isBuiltIn(view: string): boolean {
  return BUILT_IN.includes(view);
}

/** That there is no row, and what would fill it. */
export function emptyWords(source: Source | undefined, isNarrowed: boolean): string[] {
  if (isNarrowed) return [words.empty.narrowed, words.empty.narrowedWay];
  if (source === undefined) return [];
  if ('sql' in source) return [words.empty.sql];
  const isLimited = Object.keys(source.where ?? {}).length > 0;
  if (isLimited) return [words.empty.where];
  const fill = isBuiltIn(source.view) ? words.empty.fills[source.view] : undefined;
  return [fill ?? words.empty.view(viewTitle(source.view))];
}
