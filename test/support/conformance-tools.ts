import type { Tool } from '../../src/mcp/tool.ts';

/**
 * The tools that the protocol's conformance suite calls by name, as its scenarios describe them. Those that would have to
 * ask their client something, or tell of progress, are not here: see test/mcp-conformance-fixtures.yaml.
 */

/** One red pixel. */
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC';
/** Two samples of silence. */
const WAV = 'UklGRigAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQQAAAAAAAAA';

const IMAGE = { type: 'image', data: PNG, mimeType: 'image/png' };

export const CONFORMANCE_TOOLS: readonly Tool[] = [
	fixture('test_simple_text', text('This is a simple text response for testing.')),
	fixture('test_image_content', { content: [IMAGE] }),
	fixture('test_audio_content', { content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }] }),
	fixture('test_embedded_resource', {
		content: [resource('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')],
	}),
	fixture('test_multiple_content_types', {
		content: [
			{ type: 'text', text: 'Multiple content types test:' },
			IMAGE,
			resource('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
		],
	}),
	fixture('test_error_handling', {
		...text('This tool intentionally returns an error for testing'),
		isError: true,
	}),
	fixture('json_schema_2020_12_tool', text('Its schema is what matters.'), {
		$schema: 'https://json-schema.org/draft/2020-12/schema',
		type: 'object',
		$defs: {
			address: {
				$anchor: 'addressDef',
				type: 'object',
				properties: { street: { type: 'string' }, city: { type: 'string' } },
			},
		},
		properties: {
			name: { type: 'string' },
			address: { $ref: '#/$defs/address' },
			contactMethod: { type: 'string', enum: ['phone', 'email'] },
			phone: { type: 'string' },
			email: { type: 'string' },
		},
		allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
		if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
		// biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
		then: { required: ['phone'] },
		else: { required: ['email'] },
		additionalProperties: false,
	}),
];

/** A tool that always answers the same. */
function fixture(name: string, result: object, inputSchema: Tool['inputSchema'] = { type: 'object' }): Tool {
	return {
		name,
		title: name,
		description: 'A fixture of the conformance suite.',
		inputSchema,
		annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
		call: async () => ({ members: JSON.stringify(result).slice(1, -1), meta: '', rate: undefined }),
	};
}

function text(said: string): object {
	return { content: [{ type: 'text', text: said }] };
}

function resource(uri: string, mimeType: string, said: string): object {
	return { type: 'resource', resource: { uri, mimeType, text: said } };
}
