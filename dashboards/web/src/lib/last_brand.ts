/**
 * Whose page it was last in this browser: kept when a sign-in ends, so that whoever comes back knows the place.
 * It says nothing but what the head of that page said.
 */
import { brandOf, type Brand } from './branding';
import { toHex } from './colour';

const PLACE = 'tidemark.brand';

export interface LastBrand extends Brand {
  name: string;
}

/** Keeps what a firm was known by; where the storage has no room for it, nothing is kept. */
export function keepBrand(name: string, { logo, colours }: Brand, storage: Storage = localStorage): void {
  const { light, dark } = colours;
  const kept = {
    name, ...(logo === null ? {} : { logo }),
    colours: { ...(light === null ? {} : { accent: toHex(light) }), ...(dark === null ? {} : { accent_dark: toHex(dark) }) },
  };
  try {
    storage.setItem(PLACE, JSON.stringify(kept));
  } catch (error) {
    // Full or switched off: the sign-in has the product's mark then.
    if (!(error instanceof DOMException)) throw error;
    storage.removeItem(PLACE);
  }
}

/** The firm whose page it was last; null where none is kept, or nothing that can be read. */
export function lastBrand(storage: Storage = localStorage): LastBrand | null {
  try {
    const kept: unknown = JSON.parse(storage.getItem(PLACE) ?? 'null');
    if (typeof kept !== 'object' || kept === null) return null;
    const brand = brandOf(kept as Record<string, unknown>);
    return brand.name === null ? null : { ...brand, name: brand.name };
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
