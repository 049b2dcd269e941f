/** The calls of the service for dashboards and their versions. */
import { call, CallFailed } from '../lib/api';
import type { DashboardDocument } from './document';

/** A dashboard without its document. */
export interface Head {
  id: string;
  name: string;
  /** 1, and one more with each change; in quotes it is the `ETag`. */
  version: number;
  /** Who made it what it is; null: its template. */
  changed_by: string | null;
  created_at: string;
  changed_at: string;
  /** Which dashboard of which template it came with. */
  origin: { template: string; version: number } | null;
}

export interface Dashboard extends Head {
  document: DashboardDocument;
  /** The document as its template gave it, where there is one. */
  base?: DashboardDocument;
}

/** What a dashboard is to be. */
export interface NewDashboard {
  name: string;
  document: DashboardDocument;
}

/** What a dashboard was after one of its changes. */
export interface Version {
  version: number;
  name: string;
  changed_by: string | null;
  changed_at: string;
  /** The version that it is again. */
  restored_from: number | null;
}

export interface WholeVersion extends Version {
  document: DashboardDocument;
}

/** What became of a change: of somebody else's change meanwhile nothing is lost. */
export type Outcome =
  | { outcome: 'done'; dashboard: Dashboard }
  | { outcome: 'changed-meanwhile'; current: Dashboard };

const JSON_TYPE = { 'Content-Type': 'application/json' };
const at = (id: string) => `/v1/dashboards/${encodeURIComponent(id)}`;
const tag = (version: number) => `"${version}"`;

export async function readDashboards(token: string): Promise<Head[]> {
  const answer = (await (await call(token, '/v1/dashboards')).json()) as { dashboards: Head[] };
  return answer.dashboards;
}

export async function readDashboard(token: string, id: string): Promise<Dashboard> {
  return (await call(token, at(id))).json() as Promise<Dashboard>;
}

/** The dashboard, or null while it is the version that is known. */
export async function readDashboardBeyond(token: string, id: string, version: number): Promise<Dashboard | null> {
  try {
    const response = await call(token, at(id), { headers: { 'If-None-Match': tag(version) } });
    return (await response.json()) as Dashboard;
  } catch (error) {
    if (error instanceof CallFailed && error.problem.status === 304) return null;
    throw error;
  }
}

export async function createDashboard(token: string, made: NewDashboard): Promise<Dashboard> {
  const init = { method: 'POST', headers: JSON_TYPE, body: JSON.stringify(made) };
  return (await call(token, '/v1/dashboards', init)).json() as Promise<Dashboard>;
}

/** Puts another name and document in the place of the version that was read; `'*'`: of any. */
export async function replaceDashboard(
  token: string, id: string, version: number | '*', made: NewDashboard,
): Promise<Outcome> {
  const headers = { ...JSON_TYPE, 'If-Match': matched(version) };
  return change(token, at(id), { method: 'PUT', headers, body: JSON.stringify(made) });
}

/** Deletes a dashboard with its versions, unless it has changed since that one was read. */
export async function deleteDashboard(
  token: string, id: string, version: number,
): Promise<{ outcome: 'done' } | { outcome: 'changed-meanwhile'; current: Dashboard }> {
  try {
    await call(token, at(id), { method: 'DELETE', headers: { 'If-Match': tag(version) } });
    return { outcome: 'done' };
  } catch (error) {
    return changedMeanwhile(error);
  }
}

/** The versions that are kept, the newest first. */
export async function readVersions(token: string, id: string): Promise<Version[]> {
  const answer = (await (await call(token, `${at(id)}/versions`)).json()) as { versions: Version[] };
  return answer.versions;
}

export async function readVersion(token: string, id: string, version: number): Promise<WholeVersion> {
  return (await call(token, `${at(id)}/versions/${version}`)).json() as Promise<WholeVersion>;
}

/** Makes a dashboard of the version `present` again what it was at `version`. */
export async function restoreVersion(
  token: string, id: string, version: number, present: number | '*',
): Promise<Outcome> {
  const init = { method: 'POST', headers: { 'If-Match': matched(present) } };
  return change(token, `${at(id)}/versions/${version}/restore`, init);
}

const matched = (version: number | '*') => (version === '*' ? '*' : tag(version));

async function change(token: string, path: string, init: RequestInit): Promise<Outcome> {
  try {
    const dashboard = (await (await call(token, path, init)).json()) as Dashboard;
    return { outcome: 'done', dashboard };
  } catch (error) {
    return changedMeanwhile(error);
  }
}

/** The present dashboard that a refusal for it tells; every other refusal is thrown on. */
function changedMeanwhile(error: unknown): { outcome: 'changed-meanwhile'; current: Dashboard } {
  if (!(error instanceof CallFailed) || !error.problem.type?.endsWith(':changed-meanwhile')) throw error;
  const { current } = error.problem as { current?: Dashboard };
  if (current === undefined) throw error;
  return { outcome: 'changed-meanwhile', current };
}
