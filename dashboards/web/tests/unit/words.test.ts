// What the page says stands in files of its own, and a translator finds all of them in `src/words.ts`.
import { parse } from 'svelte/compiler';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const components = import.meta.glob<string>('../../src/**/*.svelte', { query: '?raw', import: 'default', eager: true });
const modules = import.meta.glob<string>('../../src/**/*.ts', { query: '?raw', import: 'default', eager: true });

const nameOf = (path: string) => path.replace('../../src/', '');

const index = modules['../../src/words.ts'] ?? '';
/** Where words may stand: what the list names, and the list. */
const WORDS = new Set(['words.ts', ...[...index.matchAll(/from '\.\/([^']+)'/g)].map(([, path]) => `${path}.ts`)]);

/** Attributes that are read out or shown. */
const SAID = new Set(['alt', 'aria-description', 'aria-label', 'aria-roledescription', 'aria-valuetext', 'label', 'placeholder', 'title']);

/** What has letters and needs no translation: by component, what stands in it. */
const NO_WORDS: Record<string, string[]> = {
  // How an address begins, and what SQL calls nothing.
  'reports/TargetFields.svelte': ['https://'],
  'sql/ResultGrid.svelte': ['null'],
};

/** Code whose long texts are SQL, or names of fonts and other styles. */
const CODE = new Set(['charts/palette.ts', 'project/details.ts', 'sql/catalog.ts', 'sql/codemirror.ts', 'sql/dialect.ts']);
/** How the service begins what it says of a figure that is no sum. */
const OF_THE_SERVICE = ['as stated in '];

const hasWord = (text: string) => /\p{L}{2}/u.test(text);
/** Three words, or two of which the first begins like a sentence. */
const isSentence = (text: string) => /\p{L}+ \p{L}+[^\p{L}]+\p{L}/u.test(text) || /^\p{Lu}\p{Ll}+ \p{Ll}/u.test(text);

interface Node {
  type: string;
  start: number;
  [member: string]: unknown;
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}

function children(node: Node, without: readonly string[] = []): Node[] {
  return Object.entries(node).flatMap(([member, value]) =>
    without.includes(member) ? [] : (Array.isArray(value) ? value : [value]).filter(isNode));
}

/** Texts that an expression of a template may come to: not those that it compares, looks up or hands on. */
function written(node: Node): string[] {
  switch (node.type) {
    case 'Literal': return typeof node['value'] === 'string' ? [node['value']] : [];
    case 'TemplateElement': return [String((node['value'] as { cooked?: string }).cooked ?? '')];
    case 'CallExpression': case 'MemberExpression': case 'BinaryExpression':
    case 'ArrowFunctionExpression': case 'FunctionExpression': return [];
    case 'ConditionalExpression': return children(node, ['test']).flatMap(written);
    default: return children(node).flatMap(written);
  }
}

/** What a template says itself. */
function said(node: Node): string[] {
  switch (node.type) {
    case 'Text': return [String(node['data'])];
    case 'ExpressionTag': return isNode(node['expression']) ? written(node['expression']) : [];
    case 'Attribute': return SAID.has(String(node['name'])) ? children(node).flatMap(said) : [];
    case 'Comment': case 'StyleDirective': return [];
    default: return children(node, ['expression', 'test', 'context', 'key', 'index', 'parameters', 'declaration', 'metadata']).flatMap(said);
  }
}

/** Sentences of code that people may come to read: what is thrown as a fault of the page is none of them. */
function sentences(code: string): string[] {
  const found: string[] = [];
  const FAULTS = new Set(['Error', 'RangeError', 'TypeError', 'Diverged', 'Unreadable']);
  const look = (node: ts.Node): void => {
    if (ts.isNewExpression(node) && FAULTS.has(node.expression.getText())) return;
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.SuperKeyword) return;
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)) found.push(node.text);
    ts.forEachChild(node, look);
  };
  look(ts.createSourceFile('code.ts', code, ts.ScriptTarget.Latest, true));
  return found.filter(isSentence);
}

describe('the words of the page', () => {
  it('stand in no template', () => {
    expect(Object.keys(components).length).toBeGreaterThan(80);
    const found = Object.entries(components).flatMap(([path, source]) => {
      const { fragment } = parse(source, { modern: true });
      const allowed = NO_WORDS[nameOf(path)] ?? [];
      return said(fragment as unknown as Node)
        .filter((text) => hasWord(text) && !allowed.includes(text.trim()))
        .map((text) => `${nameOf(path)}: ${text.trim()}`);
    });
    expect(found).toEqual([]);
  });

  it('stand in no code but their own', () => {
    const scripts = Object.entries(components).map(([path, source]): [string, string] =>
      [path, /<script[^>]*>([\s\S]*?)<\/script>/.exec(source)?.[1] ?? '']);
    const others = Object.entries(modules).filter(([path]) => !WORDS.has(nameOf(path)) && !CODE.has(nameOf(path)));
    const found = [...scripts, ...others].flatMap(([path, code]) =>
      sentences(code).filter((text) => !OF_THE_SERVICE.includes(text)).map((text) => `${nameOf(path)}: ${text}`));
    expect(found).toEqual([]);
  });

  it('are all in the list', () => {
    const files = Object.keys(modules).map(nameOf).filter((name) => name.endsWith('/words.ts'));
    expect(files.filter((name) => !WORDS.has(name))).toEqual([]);
    expect(files.length).toBeGreaterThan(9);
  });
});
