/**
 * Loaded before the gateway, whose sandbox does not go with NODE_ENV=production: lets graphql-js be what it is there, and among the peers.
 * Elsewhere it asks at every look at a type whether a second copy of itself was loaded by mistake.
 */
process.env['NODE_ENV'] = 'production';
await import('graphql');
delete process.env['NODE_ENV'];
