/** Row ids as SQLite keeps them: 16 bytes, whose order is that of the text. */
export function idBytes(id: string): Buffer {
	return Buffer.from(id.replaceAll('-', ''), 'hex');
}
