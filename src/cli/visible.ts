/** Control characters, and those that turn the direction of a text. */
const STEERING = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** The text with what could steer a terminal spelled out: `\n`, `\u{1b}`. Whatever anybody else wrote goes through it. */
export function visible(text: string, keepLines = false): string {
	return text.replace(STEERING, (character) => {
		if (character === '\n') return keepLines ? character : '\\n';
		if (character === '\t') return keepLines ? character : '\\t';
		return `\\u{${hex(character)}}`;
	});
}

/** The same for compact JSON, in which such characters are in strings alone: what it means stays. */
export function visibleJson(text: string): string {
	return text.replace(STEERING, (character) =>
		character === '\n' ? character : `\\u${hex(character).padStart(4, '0')}`,
	);
}

function hex(character: string): string {
	return character.codePointAt(0)!.toString(16);
}
