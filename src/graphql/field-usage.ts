/** Who still asks for what is to go: requests for deprecated fields, by field and client. A field goes when nobody has asked for it for 30 days. */
import { TypeInfo, visit, visitWithTypeInfo, type DocumentNode, type GraphQLSchema } from 'graphql';
import { Counter, type Registry } from 'prom-client';

/** A client's name as it may stand in a metric. */
const NAME_FORM = /^[a-z][a-z0-9._-]{0,31}$/i;
/** Names that get a series of their own: a client that makes up new ones does not fill the metrics. */
const CLIENTS_COUNTED = 50;

/** Counts requests for deprecated fields. */
export class FieldUsage {
  readonly #schema: GraphQLSchema;
  readonly #counter: Counter<'type' | 'field' | 'client'>;
  readonly #clients = new Set<string>();
  /** What a document asks for that is deprecated; documents are the same objects for as long as they are remembered. */
  readonly #found = new WeakMap<DocumentNode, readonly { type: string; field: string }[]>();

  constructor(schema: GraphQLSchema, registry: Registry) {
    this.#schema = schema;
    this.#counter = new Counter({
      name: 'graphql_field_requests_total',
      help: 'Requests for deprecated fields, by field and client (header apollographql-client-name).',
      labelNames: ['type', 'field', 'client'],
      registers: [registry],
    });
  }

  /** Counts what one request asks for. @param clientName what the client calls itself, if anything */
  count(document: DocumentNode, clientName: string | undefined): void {
    const found = this.#found.get(document) ?? this.#find(document);
    for (const { type, field } of found) this.#counter.inc({ type, field, client: this.#clientOf(clientName) });
  }

  #find(document: DocumentNode): readonly { type: string; field: string }[] {
    const typeInfo = new TypeInfo(this.#schema);
    const found = new Map<string, { type: string; field: string }>();
    const note = (): void => {
      const [type, field] = [typeInfo.getParentType()?.name, typeInfo.getFieldDef()];
      if (type !== undefined && field?.deprecationReason != null) found.set(`${type}.${field.name}`, { type, field: field.name });
    };
    visit(document, visitWithTypeInfo(typeInfo, { Field: note }));
    const list = [...found.values()];
    this.#found.set(document, list);
    return list;
  }

  #clientOf(name: string | undefined): string {
    if (name === undefined || name === '') return 'unknown';
    const client = name.toLowerCase();
    if (!NAME_FORM.test(client)) return 'other';
    if (!this.#clients.has(client) && this.#clients.size >= CLIENTS_COUNTED) return 'other';
    this.#clients.add(client);
    return client;
  }
}
