/**
 * Loaded before a process's own modules (`node --import`): what is thrown names lines of our TypeScript. Node's flag for it reads the maps of every
 * package too, at each start.
 */
import module from 'node:module';

// A Node that is older than the one which comes with the project may not have it yet.
if ('setSourceMapsSupport' in module) module.setSourceMapsSupport(true, { nodeModules: false, generatedCode: false });
else process.setSourceMapsEnabled(true);
