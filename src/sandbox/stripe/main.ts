import { runStripeStandIn } from './process.js';

runStripeStandIn(process.env);
