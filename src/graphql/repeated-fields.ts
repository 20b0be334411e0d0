/**
 * How often a document asks for the same thing. Validation compares every two fields that would be merged into one answer, so the time
 * it takes grows by the square of their number: 300 times `paymentMethods { id }` in one selection took 0.4 s and asks for nothing more
 * than once would. Counted as the executor merges: by path of response names, fragments followed, each once at a place.
 */
import { Kind, type FieldNode, type FragmentDefinitionNode, type SelectionSetNode } from 'graphql';

/** What was counted. */
export interface Repetition {
  /** Fields of all places. */
  fields: number;
  /** Of the place with the most. */
  repeated: number;
}

/**
 * Counts the fields under some selections.
 * @param stopAt counting ends above so many fields: a document may spread a fragment in very many places
 */
export function countRepetition(
  roots: readonly SelectionSetNode[],
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
  stopAt: number,
): Repetition {
  const counted: Repetition = { fields: 0, repeated: 0 };
  const places: (readonly SelectionSetNode[])[] = roots.map((root) => [root]);
  for (let place = places.pop(); place && counted.fields <= stopAt; place = places.pop()) {
    for (const fields of mergedFields(place, fragments).values()) {
      counted.fields += fields.length;
      counted.repeated = Math.max(counted.repeated, fields.length);
      const inner = fields.flatMap(({ selectionSet }) => selectionSet ?? []);
      if (inner.length > 0) places.push(inner);
    }
  }
  return counted;
}

/** The fields of one place by their name in the answer. */
function mergedFields(
  place: readonly SelectionSetNode[],
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
): Map<string, FieldNode[]> {
  const found = new Map<string, FieldNode[]>();
  const spread = new Set<string>();
  const open = [...place];
  for (let selectionSet = open.pop(); selectionSet; selectionSet = open.pop()) {
    for (const selection of selectionSet.selections) {
      if (selection.kind === Kind.FIELD) {
        const name = selection.alias?.value ?? selection.name.value;
        const same = found.get(name) ?? [];
        same.push(selection);
        found.set(name, same);
      } else if (selection.kind === Kind.INLINE_FRAGMENT) open.push(selection.selectionSet);
      else if (!spread.has(selection.name.value)) {
        spread.add(selection.name.value);
        const fragment = fragments.get(selection.name.value);
        if (fragment) open.push(fragment.selectionSet);
      }
    }
  }
  return found;
}
