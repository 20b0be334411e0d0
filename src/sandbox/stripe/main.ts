import { runStripeStandIn } from './process.js';

await runStripeStandIn(process.env);
