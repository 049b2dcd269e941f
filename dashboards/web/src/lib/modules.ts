/** Modules: what a firm uses. What belongs to one that it does not use has no place on its pages. */
import type { Tenant } from './api';

/** Whether the firm uses a module; any of them while nobody knows. */
export function uses(tenant: Pick<Tenant, 'modules'> | null, module: string): boolean {
  return tenant === null || tenant.modules.length === 0 || tenant.modules.includes(module);
}
