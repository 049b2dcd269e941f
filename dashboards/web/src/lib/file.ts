/** Files that the service makes, fetched with the token and given to the browser to keep. */
import { call } from './api';

/** Parts of this size are handed over to the browser, which may put them on disk. */
const PART = 16 << 20;

/** The whole of an answer. `onbytes` is told how much has come. */
export async function readFile(
  token: string, path: string, init: RequestInit, onbytes: (bytes: number) => void,
): Promise<Blob> {
  const response = await call(token, path, init);
  const type = response.headers.get('content-type') ?? 'application/octet-stream';
  const reader = response.body?.getReader();
  const parts: Blob[] = [];
  let held: Uint8Array<ArrayBuffer>[] = [];
  let [size, bytes] = [0, 0];
  for (;;) {
    const read = await reader?.read();
    if (!read || read.done) break;
    held.push(read.value);
    size += read.value.length;
    bytes += read.value.length;
    onbytes(bytes);
    if (size < PART) continue;
    parts.push(new Blob(held));
    [held, size] = [[], 0];
  }
  return new Blob([...parts, ...held], { type });
}

/** Offers a file as a download. */
export function saveFile(file: Blob, name: string): void {
  const address = URL.createObjectURL(file);
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** A name that every file system takes. */
export function fileName(text: string): string {
  const name = text.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-').replaceAll(/^-+|-+$/g, '').slice(0, 60);
  return name === '' ? 'query' : name;
}
