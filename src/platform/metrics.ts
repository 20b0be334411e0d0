import { collectDefaultMetrics, Registry } from 'prom-client';

/** A registry of one process: Node's own metrics (memory, event loop, garbage collection), every series labelled with the cell. */
export function createMetrics(labels: { region: string; service: string }): Registry {
  const registry = new Registry();
  registry.setDefaultLabels(labels);
  collectDefaultMetrics({ register: registry });
  return registry;
}
