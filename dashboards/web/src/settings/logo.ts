/** A logo from a file: as the service keeps it, made smaller where it is too large. */

/** The largest picture that the service keeps, in bytes. */
export const MOST_BYTES = 48 * 1024;
/** The longest sides that are tried, in pixels. At the last one no picture is too large. */
const SIDES = [512, 384, 256, 192, 128, 96] as const;

export class NoPicture extends Error {}

/** The kind of a picture, by what it begins with; null for those that the service does not keep. */
export function kindOf(bytes: Uint8Array): string | null {
  const begins = (marks: readonly number[], at = 0) => marks.every((mark, i) => bytes[at + i] === mark);
  if (begins([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])) return 'image/png';
  if (begins([0xff, 0xd8, 0xff])) return 'image/jpeg';
  // RIFF, four bytes of length, WEBP
  return begins([0x52, 0x49, 0x46, 0x46]) && begins([0x57, 0x45, 0x42, 0x50], 8) ? 'image/webp' : null;
}

export function dataAddress(kind: string, bytes: Uint8Array): string {
  return `data:${kind};base64,${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))}`;
}

/** The file as a data address that the service takes. Throws `NoPicture` for what cannot be shown. */
export async function logoOf(file: Blob): Promise<string> {
  let image: ImageBitmap;
  try {
    image = await createImageBitmap(file);
  } catch (error) {
    if (error instanceof DOMException) throw new NoPicture();
    throw error;
  }
  try {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const kind = kindOf(bytes);
    if (kind !== null && bytes.length <= MOST_BYTES) return dataAddress(kind, bytes);
    return await smaller(image);
  } finally {
    image.close();
  }
}

async function smaller(image: ImageBitmap): Promise<string> {
  const canvas = document.createElement('canvas');
  for (const side of SIDES) {
    const scale = Math.min(1, side / Math.max(image.width, image.height));
    canvas.width = Math.max(1, Math.round(image.width * scale));
    canvas.height = Math.max(1, Math.round(image.height * scale));
    const context = canvas.getContext('2d');
    if (context === null) break;
    context.imageSmoothingQuality = 'high';
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/png'));
    if (blob !== null && blob.size <= MOST_BYTES) {
      return dataAddress('image/png', new Uint8Array(await blob.arrayBuffer()));
    }
  }
  throw new NoPicture();
}
