/**
 * Reduces an OpenAPI document to its structure, so that two documents can be compared by what they promise and not by how
 * they say it. Prose (`description`, `summary`, `externalDocs`, `servers`, tag order) is dropped.
 */
type Node = unknown;

const PROSE = new Set(['description', 'summary', 'externalDocs', 'servers']);

/** Returns `node` without prose. Members of `properties` are data, not keywords, and are kept whatever their name. */
export function strip(node: Node, insideProperties = false): Node {
	if (Array.isArray(node)) return node.map((item) => strip(item));
	if (node === null || typeof node !== 'object') return node;
	const out: Record<string, Node> = {};
	for (const [name, value] of Object.entries(node)) {
		if (!insideProperties && PROSE.has(name)) continue;
		out[name] = strip(value, name === 'properties' && !insideProperties);
	}
	return out;
}
