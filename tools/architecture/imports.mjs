import { readFileSync } from 'node:fs';
import ts from 'typescript';

/** → { imports: [{ specifier, line }], globals: [{ name, line }] } of one source file. */
export function readSource(path, globalNames = new Set()) {
  const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true);
  const imports = [];
  const globals = [];
  const line = (node) => source.getLineAndCharacterOfPosition(node.getStart()).line + 1;
  const visit = (node) => {
    const specifier = importedBy(node);
    if (specifier && ts.isStringLiteralLike(specifier)) imports.push({ specifier: specifier.text, line: line(node) });
    if (ts.isIdentifier(node) && globalNames.has(node.text) && standsAlone(node)) {
      globals.push({ name: node.text, line: line(node) });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return { imports, globals };
}

function importedBy(node) {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier;
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) return node.argument.literal;
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) return node.arguments[0];
  return undefined;
}

/** Neither a member's name (`x.process`, `{ process: 1 }`) nor the name of something declared here. */
function standsAlone(node) {
  const { parent } = node;
  return !(parent.name === node || parent.propertyName === node) || ts.isShorthandPropertyAssignment(parent);
}

/** `@weave/core/testing` → `@weave/core`; undefined for a relative import and for Node's own modules. */
export function packageOf(specifier) {
  if (specifier.startsWith('.') || specifier.startsWith('node:')) return undefined;
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}
