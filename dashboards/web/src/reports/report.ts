/** Reports as the service has them, and as a form shows them. */
import type { Question } from '../sql/notebook';
import { parameterCount, wrong, type Kind } from '../sql/parameters';

export type Value = string | number | boolean | null;
export const TYPES = ['text', 'int', 'decimal', 'date', 'timestamp', 'bool'] as const;
export type ParamType = (typeof TYPES)[number];
export const FORMATS = ['csv', 'xlsx', 'parquet'] as const;
export type Format = (typeof FORMATS)[number];
export const CATCH_UPS = ['last', 'all', 'none'] as const;
export type CatchUp = (typeof CATCH_UPS)[number];

export interface Param {
  name: string;
  type: ParamType;
  default?: Value;
}

export interface Email { kind: 'email'; to: string[]; subject?: string | null; role: string }
export interface Webhook { kind: 'webhook'; url: string; secret?: string }
export interface Copy { kind: 's3'; path: string }
export type Target = Email | Webhook | Copy;

export interface Definition {
  name: string;
  sql?: string;
  view?: string;
  params: Param[];
  format: Format;
  raw: boolean;
  as_of?: string;
  fiscal_year_starts: number;
  schedule?: { cron: string; timezone?: string; catch_up: CatchUp };
  keep_days: number;
  deliver: Target[];
}

export interface Report extends Definition {
  id: string;
  version: number;
  /** Whose rights it has; null: nobody's, as its template gave it and nobody has replaced it. */
  owner: string | null;
  created_at: string;
  changed_at: string;
  next_run_at: string | null;
  /** Why the service cannot read it; its other fields say nothing then. */
  error?: string;
}

export interface FormParam {
  name: string;
  type: ParamType;
  /** As it is typed; empty for none. */
  text: string;
}

/** A target with the text of its fields, whichever kind it is. */
export interface FormTarget {
  kind: Target['kind'];
  to: string;
  subject: string;
  role: string;
  url: string;
  secret: string;
  path: string;
  /** A webhook that has a secret already, which is never shown. */
  hasSecret: boolean;
}

export interface Form {
  name: string;
  source: 'sql' | 'view';
  sql: string;
  view: string;
  params: FormParam[];
  format: Format;
  raw: boolean;
  asOf: string;
  fiscalYearStarts: number;
  isScheduled: boolean;
  cron: string;
  timezone: string;
  catchUp: CatchUp;
  /** Null while nothing is typed in. */
  keepDays: number | null;
  deliver: FormTarget[];
}

export const NO_TARGET: FormTarget = {
  kind: 'email', to: '', subject: '', role: 'analyst', url: '', secret: '', path: '', hasSecret: false,
};

export function emptyForm(timezone: string): Form {
  return {
    name: '', source: 'sql', sql: '', view: '', params: [], format: 'csv', raw: false, asOf: '',
    fiscalYearStarts: 1, isScheduled: false, cron: '0 7 * * MON', timezone, catchUp: 'last', keepDays: 30, deliver: [],
  };
}

/** What a value in the editor most likely is in a report, whose parameters have types. */
function typeOf(kind: Kind, text: string): ParamType {
  if (kind !== 'auto' && kind !== 'null') return kind;
  const fits = (['int', 'decimal', 'date', 'timestamp'] as const).find((type) => wrong({ kind: type, text }) === null);
  return fits ?? 'text';
}

/** A form with a query from the editor; its values become the defaults. */
export function formOf(question: Question, timezone: string): Form {
  const params = question.params.map(({ kind, text }, i): FormParam => {
    const type = typeOf(kind, text);
    const typed = kind === 'bool' && text === '' ? 'false' : text;
    return { name: `p${i + 1}`, type, text: kind === 'null' ? '' : typed };
  });
  return { ...emptyForm(timezone), sql: question.sql, params };
}

/** As many parameters as the SQL has, those that are there kept. */
export function fittedParams(params: readonly FormParam[], sql: string): FormParam[] {
  return Array.from({ length: parameterCount(sql) }, (_, i) => params[i] ?? { name: `p${i + 1}`, type: 'text', text: '' });
}

export function formFrom(report: Report, timezone: string): Form {
  const textOf = (value: Value | undefined) => (value === undefined || value === null ? '' : String(value));
  return {
    name: report.name,
    source: report.view === undefined ? 'sql' : 'view',
    sql: report.sql ?? '',
    view: report.view ?? '',
    params: report.params.map((param) => ({ name: param.name, type: param.type, text: textOf(param.default) })),
    format: report.format,
    raw: report.raw,
    asOf: report.as_of ?? '',
    fiscalYearStarts: report.fiscal_year_starts,
    isScheduled: report.schedule !== undefined,
    cron: report.schedule?.cron ?? emptyForm(timezone).cron,
    timezone: report.schedule?.timezone ?? timezone,
    catchUp: report.schedule?.catch_up ?? 'last',
    keepDays: report.keep_days,
    deliver: report.deliver.map((target): FormTarget => {
      switch (target.kind) {
        case 'email':
          return { ...NO_TARGET, to: target.to.join(', '), subject: target.subject ?? '', role: target.role };
        case 'webhook': return { ...NO_TARGET, kind: 'webhook', url: target.url, hasSecret: true };
        case 's3': return { ...NO_TARGET, kind: 's3', path: target.path };
      }
    }),
  };
}

/**
 * A value as the service takes it. What is not right goes as text, which the service refuses with a
 * sentence of its own.
 */
export function valueOf(type: ParamType, text: string): Value {
  const typed = text.trim();
  if (type === 'bool' && (typed === 'true' || typed === 'false')) return typed === 'true';
  // A whole number with more digits than a float holds is not sent as another one.
  if (type === 'int' && /^-?\d+$/.test(typed) && Number.isSafeInteger(Number(typed))) return Number(typed);
  return type === 'text' ? text : typed;
}

function targetOf(form: FormTarget): Target {
  switch (form.kind) {
    case 'email': {
      const to = form.to.split(/[\s,;]+/).filter((one) => one !== '');
      return { kind: 'email', to, role: form.role, ...(form.subject === '' ? {} : { subject: form.subject }) };
    }
    case 'webhook': return { kind: 'webhook', url: form.url.trim(), ...(form.secret === '' ? {} : { secret: form.secret }) };
    case 's3': return { kind: 's3', path: form.path.trim() };
  }
}

export function definitionOf(form: Form): Definition {
  const isSql = form.source === 'sql';
  const params = isSql ? form.params : [];
  return {
    name: form.name.trim(),
    ...(isSql ? { sql: form.sql } : { view: form.view }),
    params: params.map(({ name, type, text }) => ({
      name: name.trim(), type, ...(text === '' ? {} : { default: valueOf(type, text) }),
    })),
    format: form.format,
    raw: form.raw && form.format === 'csv',
    ...(form.asOf.trim() === '' ? {} : { as_of: form.asOf.trim() }),
    fiscal_year_starts: form.fiscalYearStarts,
    ...(form.isScheduled
      ? { schedule: { cron: form.cron.trim(), ...(form.timezone.trim() === '' ? {} : { timezone: form.timezone.trim() }), catch_up: form.catchUp } }
      : {}),
    keep_days: form.keepDays ?? 0,
    deliver: form.deliver.map(targetOf),
  };
}

/** The values that a run gives: those that were typed in; for the others the defaults hold. */
export function runValues(params: readonly Param[], typed: readonly string[]): Record<string, Value> {
  const given = params.flatMap(({ name, type }, i): [string, Value][] => {
    const text = typed[i] ?? '';
    return text === '' ? [] : [[name, valueOf(type, text)]];
  });
  return Object.fromEntries(given);
}
