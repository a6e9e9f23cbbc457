import { Refusal } from '../errors.ts';
import { MAX_FILE_NAME_BYTES, MAX_LINK_BYTES, MAX_LIVE_LINKS } from '../limits.ts';

/** Every rule of links to what is stored: what they show, under which file name, and how many there may be. */

/** What a link shows. */
export type LinkTarget = RowTarget | TextTarget | QueryTarget;

interface File {
	readonly filename: string;
	/** A media type (RFC 9110 section 8.3.1). */
	readonly mimeType: string;
}

export interface RowTarget extends File {
	readonly kind: 'row';
	readonly table: string;
	readonly id: string;
}

/** One string member of one row. */
export interface TextTarget extends File {
	readonly kind: 'text';
	readonly table: string;
	readonly id: string;
	readonly field: string;
}

export interface QueryTarget extends File {
	readonly kind: 'query';
	readonly table: string;
	/** A JSON object, as it was sent. */
	readonly filter?: string | undefined;
	readonly sort?: string | undefined;
	readonly limit?: number | undefined;
}

/** A link that is alive: not expired, and its key not revoked. */
export interface Link {
	readonly accountId: string;
	readonly keyId: string;
	readonly target: LinkTarget;
	/** Milliseconds since the epoch. */
	readonly expiresAt: number;
}

/** The text that is stored of a target. @throws Refusal invalid_request where a link would be larger than links may be. */
export function targetText(target: LinkTarget): string {
	const text = JSON.stringify(target);
	if (Buffer.byteLength(text) <= MAX_LINK_BYTES) return text;
	throw new Refusal(
		'invalid_request',
		`What the link is to show takes more than ${MAX_LINK_BYTES} bytes to say. Send a shorter filter, or filter on "id".`,
		{ limit: MAX_LINK_BYTES },
	);
}

/**
 * Is there room for another link?
 * @param live expiry of the account's live links, soonest first.
 * @throws Refusal link_limit_reached
 */
export function requireRoomForLink(live: readonly number[], now: number): void {
	if (live.length < MAX_LIVE_LINKS) return;
	const seconds = Math.max(1, Math.ceil((live[0]! - now) / 1000));
	throw new Refusal(
		'link_limit_reached',
		`The account has ${MAX_LIVE_LINKS} live links, which is the most. The next one expires in ${seconds} seconds; a query link shows many rows at once.`,
		{ limit: MAX_LIVE_LINKS, retry_after: seconds },
	);
}

/**
 * Control characters, path separators, line separators, and characters that are not seen or turn the direction of text, which
 * disguise a name's ending. The two joiners stay: Persian and emoji are written with them.
 */
const FAULTY_IN_FILE_NAMES = /[\p{Cc}\p{Zl}\p{Zp}/\\]|(?![\u200c\u200d])\p{Cf}/u;
/** Blanks at either end, and dots at the end, which file systems drop. */
const FAULTY_ENDS = /^\p{Z}|[\p{Z}.]$/u;

/** @throws Refusal invalid_filename */
export function checkFileName(name: string): string {
	const fits = name !== '' && Buffer.byteLength(name) <= MAX_FILE_NAME_BYTES;
	if (fits && name.isWellFormed() && !FAULTY_IN_FILE_NAMES.test(name) && !FAULTY_ENDS.test(name)) return name;
	throw new Refusal(
		'invalid_filename',
		`A file name has 1 to ${MAX_FILE_NAME_BYTES} bytes, no slash, no control or invisible character, no blank at either end and no dot at the end. Send for example "plan.md".`,
		{ field: 'filename', limit: MAX_FILE_NAME_BYTES },
	);
}

const TOKEN = "[A-Za-z0-9!#$%&'*+.^_`|~-]+";
/** RFC 9110 section 8.3.1. */
const MEDIA_TYPE = new RegExp(`^${TOKEN}/${TOKEN}( *; *${TOKEN}=(${TOKEN}|"[A-Za-z0-9 !#-[\\]-~]*"))*$`);
const MAX_MEDIA_TYPE_CHARACTERS = 127;

/** @throws Refusal invalid_media_type */
export function checkMediaType(type: string): string {
	const fits = type.length <= MAX_MEDIA_TYPE_CHARACTERS && MEDIA_TYPE.test(type) && !/^multipart\//i.test(type);
	const charset = /; *charset="?([^";]*)/i.exec(type)?.[1] ?? 'utf-8';
	if (fits && charset.toLowerCase() === 'utf-8') return type;
	throw new Refusal(
		'invalid_media_type',
		`A media type is a type and a subtype, of up to ${MAX_MEDIA_TYPE_CHARACTERS} characters in all, and texts are sent in UTF-8. Send for example "text/markdown".`,
		{ field: 'mimeType', limit: MAX_MEDIA_TYPE_CHARACTERS },
	);
}

/** Endings of file names and the media types of texts, the usual one of either first. */
const TEXT_TYPES: readonly (readonly [ending: string, type: string])[] = [
	['txt', 'text/plain'],
	['md', 'text/markdown'],
	['markdown', 'text/markdown'],
	['html', 'text/html'],
	['htm', 'text/html'],
	['css', 'text/css'],
	['csv', 'text/csv'],
	['tsv', 'text/tab-separated-values'],
	['js', 'text/javascript'],
	['mjs', 'text/javascript'],
	['ts', 'text/x-typescript'],
	['tsx', 'text/x-typescript'],
	['json', 'application/json'],
	['xml', 'application/xml'],
	['svg', 'image/svg+xml'],
	['yaml', 'application/yaml'],
	['yml', 'application/yaml'],
	['toml', 'application/toml'],
	['sql', 'application/sql'],
	['sh', 'application/x-sh'],
	['py', 'text/x-python'],
	['rs', 'text/x-rust'],
	['go', 'text/x-go'],
	['java', 'text/x-java'],
	['c', 'text/x-c'],
	['cpp', 'text/x-c++'],
	['php', 'application/x-php'],
	['log', 'text/plain'],
];

/** The media type of a text by its file name's ending; `text/plain` where that says nothing. */
export function mediaTypeOf(filename: string): string {
	const ending = /\.([A-Za-z0-9]+)$/.exec(filename)?.[1]?.toLowerCase();
	return TEXT_TYPES.find(([known]) => known === ending)?.[1] ?? 'text/plain';
}

/** Characters of a part that a made file name takes over. */
const PART_CHARACTERS = 60;

/** A file name made from parts that name what the link shows; `type` gives its ending. */
export function fileNameFor(parts: readonly string[], type: string): string {
	const essence = type.split(';')[0]!.trim().toLowerCase();
	const ending = TEXT_TYPES.find(([, known]) => known === essence)?.[0] ?? 'txt';
	// Words of each part, so that no name begins or ends with a dot or a dash. Parts come from callers and may be of any length.
	const words = parts.map(
		(part) => part.slice(0, PART_CHARACTERS).match(/[\p{L}\p{N}_]+(?:[.-][\p{L}\p{N}_]+)*/gu) ?? [],
	);
	const name = words
		.map((some) => some.join('-'))
		.filter((text) => text !== '')
		.join('-');
	return `${name === '' ? 'text' : name}.${ending}`;
}
