import { writeFile } from 'node:fs/promises';
import { buildGraphSchema } from '../graphql/schema.js';

/** `npm run schema:print`: writes the contract, sorted, to schema/schema.graphql, where a change of it is a reviewed diff. */
await writeFile('schema/schema.graphql', `${buildGraphSchema().sdl.trim()}\n`);
