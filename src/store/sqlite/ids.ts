/** Row ids as SQLite keeps them: 16 bytes, whose order is that of the text. */
export function idBytes(id: string): Buffer {
	return Buffer.from(id.replaceAll('-', ''), 'hex');
}

/** The text of an id that SQLite keeps. */
export function idText(bytes: Uint8Array): string {
	const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
	return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
