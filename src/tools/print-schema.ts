import { writeFile } from 'node:fs/promises';
import { buildGraphSchema } from '../graphql/schema.js';
import { PaymentStatusResolver } from '../subscriptions/payment-status.resolver.js';

/** `npm run schema:print`: writes the contract, sorted, to schema/schema.graphql, where a change of it is a reviewed diff. */
await writeFile('schema/schema.graphql', `${buildGraphSchema({ extraResolvers: [PaymentStatusResolver] }).sdl.trim()}\n`);
