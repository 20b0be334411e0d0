// Keeps the documents that codegen has made ids for in schema/persisted-documents.json, where a change of them is a reviewed diff.
import { readFileSync, writeFileSync } from 'node:fs';

const documents = Object.entries(JSON.parse(readFileSync('test/generated/persisted-documents.json', 'utf8')));
// By the text, not in the order in which files happen to be read.
documents.sort(([, a], [, b]) => (a < b ? -1 : 1));
writeFileSync('schema/persisted-documents.json', `${JSON.stringify(Object.fromEntries(documents), null, 2)}\n`);
