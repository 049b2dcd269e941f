/** The calls of the service for reports and their runs. */
import { call } from '../lib/api';
import type { Definition, Report, Value } from './report';
import type { Run } from './run';

const JSON_TYPE = { 'Content-Type': 'application/json' };
const at = (id: string) => `/v1/reports/${encodeURIComponent(id)}`;

export async function readReports(token: string): Promise<Report[]> {
  return ((await (await call(token, '/v1/reports')).json()) as { reports: Report[] }).reports;
}

export async function readReport(token: string, id: string): Promise<Report> {
  return (await call(token, at(id))).json() as Promise<Report>;
}

export async function createReport(token: string, definition: Definition): Promise<Report> {
  const init = { method: 'POST', headers: JSON_TYPE, body: JSON.stringify(definition) };
  return (await call(token, '/v1/reports', init)).json() as Promise<Report>;
}

/** Replaces the version that was read; the service refuses if there is another one meanwhile. */
export async function replaceReport(token: string, report: Report, definition: Definition): Promise<Report> {
  const headers = { ...JSON_TYPE, 'If-Match': `"${report.version}"` };
  const init = { method: 'PUT', headers, body: JSON.stringify(definition) };
  return (await call(token, at(report.id), init)).json() as Promise<Report>;
}

export async function deleteReport(token: string, report: Report): Promise<void> {
  await call(token, at(report.id), { method: 'DELETE', headers: { 'If-Match': `"${report.version}"` } });
}

export async function startRun(
  token: string, id: string, params: Record<string, Value>, asOf: string,
): Promise<void> {
  const body = JSON.stringify({ params, ...(asOf === '' ? {} : { as_of: asOf }) });
  await call(token, `${at(id)}/run`, { method: 'POST', headers: JSON_TYPE, body });
}

export async function readRuns(
  token: string, id: string, limit: number, after: string | null,
): Promise<{ runs: Run[]; next: string | null }> {
  const asked = new URLSearchParams({ limit: String(limit), ...(after === null ? {} : { after }) });
  return (await call(token, `${at(id)}/runs?${asked}`)).json() as Promise<{ runs: Run[]; next: string | null }>;
}

export async function cancelRun(token: string, id: string, run: string): Promise<void> {
  await call(token, `${at(id)}/runs/${encodeURIComponent(run)}`, { method: 'DELETE' });
}

/** The names of the views that a report can be of. */
export async function readViewNames(token: string): Promise<string[]> {
  const { views } = (await (await call(token, '/v1/views')).json()) as { views: { name: string }[] };
  return views.map(({ name }) => name).sort();
}
