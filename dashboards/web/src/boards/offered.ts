/** Which dashboards a reader is offered: those on which there is something for them to see. */
import type { DashboardDocument } from './document';
import { BUILT_IN, isBuiltIn } from './trouble';

/** Whose rows a dashboard shows. */
export interface Shows {
  views: readonly string[];
  /** Whether some are of SQL. */
  sql: boolean;
}

export interface Reader {
  /** The views that are shown to them. */
  views: ReadonlySet<string>;
  /** Whether SQL is followed for them, and dashboards are theirs to change. */
  analyses: boolean;
}

export function showsOf({ widgets }: DashboardDocument): Shows {
  const sources = widgets.flatMap(({ source }) => source ?? []);
  const views = new Set(sources.flatMap((source) => ('view' in source ? [source.view] : [])));
  return { views: [...views], sql: sources.some((source) => 'sql' in source) };
}

/**
 * Whether a dashboard shows a reader anything: not where all of its rows are of SQL that is not followed for
 * them, or of views that are hidden, as those of modules that are off. An own view that is no more, or hidden,
 * is for whoever may put another one in its place.
 */
export function isOffered({ views, sql }: Shows, reader: Reader): boolean {
  if (views.length === 0 && !sql) return true;
  if (sql && reader.analyses) return true;
  return views.some((view) => reader.views.has(view) || (reader.analyses && !isBuiltIn(view)));
}

/** Whether there may be dashboards that a reader is not offered; otherwise none need be looked into. */
export function mayMiss({ views, analyses }: Reader): boolean {
  return !analyses || BUILT_IN.some((view) => !views.has(view));
}
