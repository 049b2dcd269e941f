/**
 * The editor for SQL, loaded on the pages that have one.
 *
 * It stands in a shadow root: there its styles are adopted style sheets, which the page's policy allows,
 * where in a document they would be style elements, which it does not.
 */
import {
  acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, closeCompletion, completeFromList,
  completionKeymap, completionStatus, ifNotIn, type Completion,
} from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { schemaCompletionSource, type SQLNamespace } from '@codemirror/lang-sql';
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from '@codemirror/language';
import { Compartment, EditorState, StateEffect, StateField, type Extension } from '@codemirror/state';
import {
  Decoration, drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers,
  placeholder, type DecorationSet,
} from '@codemirror/view';
import { tags } from '@lezer/highlight';
import type { Relation } from './catalog';
import { dialect, functionNames, wordsOfSql } from './dialect';
import type { Span } from './places';

export interface EditorHooks {
  label: string;
  hint: string;
  onchange: (text: string) => void;
  /** Told of every selection; empty where only the cursor stands. */
  onselect: (span: Span) => void;
  onrun: () => void;
  onsave: () => void;
}

export interface SqlEditor {
  set(text: string): void;
  /** Puts text where the cursor is. */
  insert(text: string): void;
  /** Marks what a problem is about; null marks nothing. */
  mark(span: Span | null): void;
  offer(relations: readonly Relation[]): void;
  shade(isDark: boolean): void;
  select(span: Span): void;
  focus(): void;
  close(): void;
}

const setMark = StateEffect.define<Span | null>();
const wrong = Decoration.mark({ class: 'cm-wrong' });

/** What is wrong stays marked until the text there changes. */
const marked = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(marks, transaction) {
    let next = transaction.docChanged ? marks.map(transaction.changes) : marks;
    for (const effect of transaction.effects) {
      if (!effect.is(setMark)) continue;
      const span = effect.value;
      const end = transaction.newDoc.length;
      const isThere = span !== null && span.from < Math.min(span.to, end);
      next = isThere ? Decoration.set(wrong.range(span.from, Math.min(span.to, end))) : Decoration.none;
    }
    return next;
  },
  provide: (field) => EditorView.decorations.from(field),
});

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: 'var(--accent)', fontWeight: '600' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--code-text)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--code-number)' },
  { tag: tags.comment, color: 'var(--ink-3)', fontStyle: 'italic' },
  { tag: [tags.standard(tags.name), tags.typeName], color: 'var(--code-name)' },
  { tag: tags.special(tags.name), color: 'var(--code-number)', fontWeight: '600' },
]);

const MONO = "ui-monospace, 'SFMono-Regular', 'DejaVu Sans Mono', monospace";

const look = EditorView.theme({
  '&': { height: '100%', color: 'var(--ink)', backgroundColor: 'var(--surface)', fontSize: '13.5px' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: MONO, lineHeight: '1.55' },
  '.cm-content': { caretColor: 'var(--ink)', padding: '10px 0' },
  '.cm-cursor': { borderLeftColor: 'var(--ink)' },
  '.cm-gutters': { backgroundColor: 'transparent', color: 'var(--ink-3)', border: '0', paddingLeft: '4px' },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'color-mix(in srgb, var(--ink) 4%, transparent)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
    background: 'color-mix(in srgb, var(--accent) 26%, transparent)',
  },
  '&.cm-focused .cm-matchingBracket': { backgroundColor: 'color-mix(in srgb, var(--accent) 22%, transparent)' },
  '.cm-placeholder': { color: 'var(--ink-3)' },
  '.cm-wrong': {
    textDecoration: 'underline wavy var(--bad) 1.5px', textUnderlineOffset: '3px', textDecorationSkipInk: 'none',
    backgroundColor: 'color-mix(in srgb, var(--bad-fill) 14%, transparent)',
  },
  '.cm-tooltip': {
    border: '1px solid var(--line-strong)', borderRadius: '8px', backgroundColor: 'var(--surface)',
    color: 'var(--ink)', overflow: 'hidden', boxShadow: '0 6px 24px rgb(0 0 0 / 18%)',
  },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': { fontFamily: MONO, fontSize: '12.5px', maxHeight: '16em' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li': { padding: '3px 10px' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]': {
    backgroundColor: 'var(--accent)', color: 'var(--surface)',
  },
  '.cm-completionDetail': { color: 'inherit', opacity: '0.7', fontStyle: 'normal' },
  '.cm-completionMatchedText': { textDecoration: 'none', fontWeight: '700' },
});

/** Relations as the completion wants them: a dot within a name is no level of its own. */
export function namespace(relations: readonly Relation[]): SQLNamespace {
  const schemas: Record<string, Record<string, SQLNamespace>> = {};
  for (const { schema, name, columns } of relations) {
    const options = columns.map((column): Completion => ({
      label: column.name, detail: column.type, type: 'property', boost: 1,
    }));
    (schemas[schema] ??= {})[name.replaceAll('.', '\\.')] = options;
  }
  const { public: views = {}, ...others } = schemas;
  return { ...views, ...others };
}

const functions = functionNames().map(([label, detail]): Completion => ({
  label, detail, type: 'function', boost: -1, apply: `${label}(`,
}));

const keywords = wordsOfSql.map((label): Completion => ({ label, type: 'keyword', boost: -2 }));

/** Where no word of the language stands. */
const NO_CODE = ['QuotedIdentifier', 'String', 'LineComment', 'BlockComment', '.'];

/** Columns of the relations that the statement names, wherever it names them: most are asked for first. */
function columnsInUse(relations: readonly Relation[]) {
  return ifNotIn(NO_CODE, (context) => {
    const word = context.matchBefore(/\w+/);
    if (!word && !context.explicit) return null;
    // Behind a full stop the relation before it says which columns there are.
    if (context.state.sliceDoc((word?.from ?? context.pos) - 1, word?.from ?? context.pos) === '.') return null;
    const text = context.state.doc.toString().toLowerCase();
    const used = relations.filter(({ name }) => text.includes(name.toLowerCase()));
    const found = new Map<string, Completion>();
    for (const { name, columns } of used) {
      for (const column of columns) {
        found.set(column.name, { label: column.name, detail: `${column.type} · ${name}`, type: 'property', boost: 2 });
      }
    }
    return { from: word?.from ?? context.pos, options: [...found.values()], validFor: /^\w*$/ };
  });
}

function completion(relations: readonly Relation[]): Extension {
  return autocompletion({
    icons: false,
    override: [
      schemaCompletionSource({ dialect, schema: namespace(relations) }),
      columnsInUse(relations),
      ifNotIn(NO_CODE, completeFromList([...functions, ...keywords])),
    ],
  });
}

/** Makes an editor in a shadow root. */
export function openEditor(root: ShadowRoot, text: string, hooks: EditorHooks): SqlEditor {
  const offered = new Compartment();
  const shaded = new Compartment();
  const run = (from: EditorView) => {
    closeCompletion(from);
    hooks.onrun();
    return true;
  };
  const save = () => {
    hooks.onsave();
    return true;
  };
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(), highlightActiveLineGutter(), highlightActiveLine(), history(), drawSelection(),
        indentOnInput(), bracketMatching(), closeBrackets(), EditorView.lineWrapping,
        dialect.language, syntaxHighlighting(colours), look, marked, placeholder(hooks.hint),
        offered.of(completion([])),
        shaded.of([]),
        EditorView.contentAttributes.of({
          'aria-label': hooks.label, autocapitalize: 'off', autocorrect: 'off', spellcheck: 'false',
        }),
        keymap.of([
          { key: 'Mod-Enter', run, preventDefault: true },
          { key: 'Mod-s', run: save, preventDefault: true },
          // Without completions Tab leads on, as everywhere on the page.
          { key: 'Tab', run: (from) => acceptCompletion(from) || completionStatus(from.state) === 'active' },
          ...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...completionKeymap,
        ]),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) hooks.onchange(update.state.doc.toString());
          if (update.selectionSet || update.docChanged) {
            const { from, to } = update.state.selection.main;
            hooks.onselect({ from, to });
          }
        }),
      ],
    }),
  });
  return {
    set(next) {
      if (next === view.state.doc.toString()) return;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next } });
    },
    insert(part) {
      view.dispatch(view.state.replaceSelection(part), { scrollIntoView: true });
      view.focus();
    },
    mark: (span) => view.dispatch({ effects: setMark.of(span) }),
    offer: (relations) => view.dispatch({ effects: offered.reconfigure(completion(relations)) }),
    shade: (isDark) => view.dispatch({ effects: shaded.reconfigure(EditorView.darkTheme.of(isDark)) }),
    select({ from, to }) {
      const end = view.state.doc.length;
      view.dispatch({ selection: { anchor: Math.min(from, end), head: Math.min(to, end) }, scrollIntoView: true });
      view.focus();
    },
    focus: () => view.focus(),
    close: () => view.destroy(),
  };
}
