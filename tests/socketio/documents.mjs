// Runs the front ends that the published documents print (folder documents), as they stand: only the
// server's address and what is marked as to be filled in is replaced.

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import assert from 'node:assert/strict';
import ts from 'typescript';

const require = createRequire(import.meta.url);
const FOLDER = fileURLToPath(new URL('documents', import.meta.url));

/** Runs a document's program and returns its top-level `names`. `globals` stand for what a page has. */
export async function run(file, { replace = {}, globals = {}, names }) {
  let source = await readFile(path.join(FOLDER, file), 'utf8');
  for (const [text, by] of Object.entries(replace)) {
    assert.ok(source.includes(text), `${file} does not say ${text}`);
    source = source.replaceAll(text, by);
  }
  const { outputText } = ts.transpileModule(source, {
    fileName: file.replace(/js(x?)$/, 'ts$1'),
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, jsx: ts.JsxEmit.ReactJSX },
  });
  const program = new Function('require', 'exports', ...Object.keys(globals), `${outputText}\nreturn { ${names} };`);
  return program(require, {}, ...Object.values(globals));
}

/** A console that remembers what a document's program prints. */
export function recorder() {
  const lines = [];
  const note = (...args) => { lines.push(args); };
  return { lines, log: note, error: note };
}

/** A React component on no page: its elements, and their handlers. */
export async function render(Component, props) {
  globalThis.IS_REACT_ACT_ENVIRONMENT = true;
  const { createElement } = await import('react');
  const { default: renderer } = await import('react-test-renderer');
  const quiet = console.error;
  // It says that it is to be replaced by tools that need a page.
  console.error = (...args) => { if (!String(args[0]).includes('deprecated')) quiet(...args); };
  let tree;
  await renderer.act(async () => { tree = renderer.create(createElement(Component, props)); });
  return {
    /** The text that an element of this kind shows, for each of them. */
    texts: (fits) => tree.root.findAll((it) => typeof it.type === 'string' && fits(it)).map(text),
    type: (value) => renderer.act(async () => { tree.root.findByType('input').props.onChange({ target: { value } }); }),
    press: (key) => renderer.act(async () => { tree.root.findByType('input').props.onKeyPress({ key }); }),
    click: () => renderer.act(async () => { tree.root.findByType('button').props.onClick(); }),
    /** Lets the component hear what has come meanwhile. */
    settle: () => renderer.act(async () => { await new Promise((resolve) => setImmediate(resolve)); }),
    close: () => renderer.act(async () => { tree.unmount(); }),
  };
}

function text(node) {
  return node.children.map((child) => (typeof child === 'string' ? child : text(child))).join('');
}
