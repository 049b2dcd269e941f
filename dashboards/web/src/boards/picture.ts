/** A widget as a picture: its title, as of when, and what it shows, on a canvas of its own. */
import { FONT, type Palette } from '../charts/palette';
import { count } from '../lib/format';
import { words } from './words';

export type PictureBody =
  /** A chart as it is drawn, twice as large as its pixels on the page. */
  | { kind: 'chart'; canvas: HTMLCanvasElement }
  /** Large numbers with a line beneath each. */
  | { kind: 'figures'; figures: readonly { text: string; note: string; colour: string }[] }
  | {
      kind: 'table'; head: readonly string[]; lines: readonly (readonly string[])[]; numbers: readonly boolean[];
      /** How many lines there are in all. */
      all: number;
    }
  | { kind: 'text'; text: string };

export interface Picture {
  title: string;
  about: string;
  body: PictureBody;
}

/** Pixels of the picture for one of the page. */
export const SHARP = 2;
const EDGE = 20;
const HEAD = 58;
const WIDTH = 760;
const LINE = 26;
const FIGURE = 74;
/** The most lines of a table that a picture has. */
export const MOST_LINES = 60;

/** What is said beneath a table that goes on: how many of its lines are there; null where all are. */
export function cutNote(lines: number, all: number): string | null {
  const drawn = Math.min(lines, MOST_LINES);
  return drawn < all ? words.widget.more(count(drawn), count(all)) : null;
}

/** The picture in the colours of the page. */
export function draw(picture: Picture, colours: Palette): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  const pen = canvas.getContext('2d');
  if (!pen) return canvas;
  const { body } = picture;
  const width = body.kind === 'chart' ? Math.max(320, body.canvas.width / SHARP + 2 * EDGE) : WIDTH;
  const lines = body.kind === 'text' ? wrapped(pen, body.text, width - 2 * EDGE) : [];
  canvas.width = width * SHARP;
  canvas.height = (HEAD + heightOf(body, lines) + EDGE) * SHARP;
  pen.scale(SHARP, SHARP);
  pen.fillStyle = colours.surface;
  pen.fillRect(0, 0, width, canvas.height);
  pen.textBaseline = 'alphabetic';
  write(pen, picture.title, EDGE, 30, width - 2 * EDGE, `600 16px ${FONT}`, colours.ink);
  write(pen, picture.about, EDGE, 48, width - 2 * EDGE, `400 12px ${FONT}`, colours.ink3);
  switch (body.kind) {
    case 'chart':
      pen.drawImage(body.canvas, EDGE, HEAD, body.canvas.width / SHARP, body.canvas.height / SHARP);
      break;
    case 'figures':
      body.figures.forEach(({ text, note, colour }, i) => {
        write(pen, text, EDGE, HEAD + i * FIGURE + 38, width - 2 * EDGE, `560 34px ${FONT}`, colour);
        write(pen, note, EDGE, HEAD + i * FIGURE + 58, width - 2 * EDGE, `400 13px ${FONT}`, colours.ink3);
      });
      break;
    case 'table': table(pen, body, width, colours); break;
    case 'text':
      lines.forEach((line, i) => write(pen, line, EDGE, HEAD + (i + 0.7) * LINE, width, `400 14px ${FONT}`, colours.ink));
  }
  return canvas;
}

function heightOf(body: PictureBody, lines: readonly string[]): number {
  switch (body.kind) {
    case 'chart': return body.canvas.height / SHARP;
    case 'figures': return Math.max(1, body.figures.length) * FIGURE;
    case 'table': {
      const note = cutNote(body.lines.length, body.all) === null ? 0 : 1;
      return (Math.min(body.lines.length, MOST_LINES) + 1 + note) * LINE;
    }
    case 'text': return Math.max(1, lines.length) * LINE;
  }
}

function write(
  pen: CanvasRenderingContext2D, text: string, x: number, y: number, room: number, font: string, colour: string,
): void {
  pen.font = font;
  pen.fillStyle = colour;
  pen.fillText(fitted(pen, text, room), x, y);
}

/** The text with its end cut off where there is no room for it. */
function fitted(pen: CanvasRenderingContext2D, text: string, room: number): string {
  if (pen.measureText(text).width <= room) return text;
  let cut = text;
  while (cut.length > 1 && pen.measureText(`${cut}…`).width > room) cut = cut.slice(0, -1);
  return `${cut}…`;
}

function table(
  pen: CanvasRenderingContext2D, body: Extract<PictureBody, { kind: 'table' }>, width: number, colours: Palette,
): void {
  const room = (width - 2 * EDGE) / Math.max(1, body.head.length);
  [body.head, ...body.lines.slice(0, MOST_LINES)].forEach((cells, line) => {
    const y = HEAD + line * LINE + 17;
    pen.font = `${line === 0 ? 500 : 400} ${line === 0 ? 12 : 13}px ${FONT}`;
    pen.fillStyle = line === 0 ? colours.ink3 : colours.ink;
    cells.forEach((cell, column) => {
      const isNumber = body.numbers[column] === true;
      pen.textAlign = isNumber ? 'right' : 'left';
      const x = EDGE + column * room + (isNumber ? room - 10 : 0);
      pen.fillText(fitted(pen, cell, room - 10), x, y);
    });
    pen.textAlign = 'left';
    pen.fillStyle = colours.line;
    pen.fillRect(EDGE, y + 8, width - 2 * EDGE, 0.5);
  });
  const note = cutNote(body.lines.length, body.all);
  const below = HEAD + (Math.min(body.lines.length, MOST_LINES) + 1) * LINE + 17;
  if (note !== null) write(pen, note, EDGE, below, width - 2 * EDGE, `400 12px ${FONT}`, colours.ink3);
}

function wrapped(pen: CanvasRenderingContext2D, text: string, room: number): string[] {
  pen.font = `400 14px ${FONT}`;
  return text.split('\n').flatMap((paragraph) => {
    const lines: string[] = [];
    let line = '';
    for (const word of paragraph.split(/\s+/)) {
      const longer = line === '' ? word : `${line} ${word}`;
      if (line !== '' && pen.measureText(longer).width > room) {
        lines.push(line);
        line = word;
      } else {
        line = longer;
      }
    }
    return [...lines, line];
  });
}

/** The picture as a file; null where the browser makes none, as of one that is too large. */
export function toPng(canvas: HTMLCanvasElement): Promise<Blob | null> {
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
}
