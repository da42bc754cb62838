// The query editor's component: CodeMirror with the syntax of SPARQL, and completion of keywords, prefixes and their terms.
import { acceptCompletion, autocompletion, closeBrackets, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { sparql } from "@codemirror/legacy-modes/mode/sparql";
import { EditorState, Prec } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";

const KEYWORDS =
  ("SELECT CONSTRUCT DESCRIBE ASK DISTINCT REDUCED WHERE FROM NAMED GRAPH OPTIONAL UNION MINUS FILTER BIND VALUES SERVICE " +
    "PREFIX BASE ORDER GROUP BY HAVING LIMIT OFFSET ASC DESC AS EXISTS NOT IN COUNT SUM MIN MAX AVG SAMPLE GROUP_CONCAT " +
    "CONTAINS STRSTARTS REGEX LANG LANGMATCHES DATATYPE BOUND IF COALESCE STR LCASE UCASE isIRI isLiteral").split(" ");

// Colours are variables of the page, which has a light and a dark set of them.
const colours = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--keyword)", fontWeight: "600" },
  { tag: [tags.variableName, tags.special(tags.variableName)], color: "var(--variable)" },
  { tag: [tags.atom, tags.propertyName, tags.className], color: "var(--iri)" },
  { tag: [tags.string, tags.number], color: "var(--literal)" },
  { tag: tags.comment, color: "var(--soft)" },
]);

const theme = EditorView.theme({
  "&": { background: "var(--raised)", border: "1px solid var(--line)", borderRadius: ".375rem", minHeight: "12rem", maxHeight: "32rem" },
  "&.cm-focused": { outline: "3px solid var(--accent)", outlineOffset: "2px" },
  ".cm-scroller": { fontFamily: "ui-monospace, monospace", fontSize: ".95rem", lineHeight: "1.5" },
  ".cm-gutters": { background: "var(--raised)", color: "var(--soft)", borderRight: "1px solid var(--line)" },
  ".cm-content": { caretColor: "var(--text)" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-activeLine, .cm-activeLineGutter": { background: "color-mix(in srgb, var(--accent) 8%, transparent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    background: "color-mix(in srgb, var(--accent) 30%, transparent)",
  },
  ".cm-tooltip": { background: "var(--ground)", color: "var(--text)", border: "1px solid var(--line)" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { background: "var(--accent)", color: "var(--ground)" },
});

/** Complete `dcat:` and its terms, and declare the prefix where the query does not. */
function prefixed(prefixes) {
  return (context) => {
    const word = context.matchBefore(/[\w-]*:?[\w-]*/);
    if (!word || (word.from === word.to && !context.explicit)) return null;
    if (/[?$@<]/.test(context.state.sliceDoc(word.from - 1, word.from))) return null;
    const apply = (text, prefix) => (view, _completion, from, to) => {
      const declaration = `PREFIX ${prefix}: <${prefixes[prefix].iri}>`;
      const declared = new RegExp(`prefix\\s+${prefix}:`, "i").test(view.state.doc.toString());
      const isDeclaring = /prefix\s+$/i.test(view.state.sliceDoc(0, from));
      const insert = isDeclaring ? `${prefix}: <${prefixes[prefix].iri}>` : text;
      const changes = [{ from, to, insert }];
      if (!declared && !isDeclaring) changes.push({ from: 0, insert: `${declaration}\n` });
      const added = declared || isDeclaring ? 0 : declaration.length + 1;
      view.dispatch({ changes, selection: { anchor: from + insert.length + added } });
    };
    const options = Object.entries(prefixes).flatMap(([prefix, { iri, terms }]) => [
      { label: `${prefix}:`, detail: iri, type: "namespace", apply: apply(`${prefix}:`, prefix) },
      ...terms.map((term) => ({ label: `${prefix}:${term}`, type: "property", apply: apply(`${prefix}:${term}`, prefix) })),
    ]);
    const keywords = KEYWORDS.map((label) => ({ label, type: "keyword" }));
    return { from: word.from, options: [...keywords, ...options], validFor: /^[\w-]*:?[\w-]*$/ };
  };
}

/** Put an editor in the place of a text area, and return it as a small interface. */
export function edit(area, { prefixes, onChange, onRun }) {
  const label = area.labels[0];
  // In a shadow tree CodeMirror's styles are no style elements, which the page's content security policy forbids.
  const host = document.createElement("div");
  const root = host.attachShadow({ mode: "open" });
  area.after(host);
  area.hidden = true;
  const view = new EditorView({
    parent: root,
    root,
    state: EditorState.create({
      doc: area.value,
      extensions: [
        Prec.highest(keymap.of([{ key: "Mod-Enter", run: () => (onRun(), true) }])),
        lineNumbers(),
        history(),
        drawSelection(),
        highlightActiveLine(),
        bracketMatching(),
        closeBrackets(),
        StreamLanguage.define(sparql),
        syntaxHighlighting(colours),
        theme,
        autocompletion({ override: [prefixed(prefixes)], icons: false }),
        // Tab leaves the editor, as it leaves other fields, unless a completion is open.
        keymap.of([{ key: "Tab", run: acceptCompletion }, ...completionKeymap, ...historyKeymap, ...defaultKeymap]),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": label.textContent.trim(), spellcheck: "false" }),
        EditorView.updateListener.of((update) => update.docChanged && onChange(view.state.doc.toString())),
      ],
    }),
  });
  label.addEventListener("click", () => view.focus());
  return {
    set: (text) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } }),
    select(line, column) {
      const { doc } = view.state;
      const place = doc.line(Math.min(Math.max(line, 1), doc.lines));
      const anchor = Math.min(place.from + column - 1, place.to);
      view.dispatch({ selection: { anchor, head: Math.min(anchor + 1, doc.length) }, scrollIntoView: true });
      view.focus();
    },
  };
}
