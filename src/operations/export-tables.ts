import type { ExportPiece } from '../store/seam.ts';
import { callerOf, type Run } from './context.ts';

/** Streams every live row of the account, from one moment in time. */
export const exportTables: Run = async (context, input) => {
	const pieces = await context.store.read.export(callerOf(input).accountId);
	return { body: { [Symbol.asyncIterator]: () => document(pieces), close: () => pieces.close() } };
};

async function* document(pieces: AsyncIterable<ExportPiece>): AsyncGenerator<string> {
	yield '{"tables":{';
	let endOfTable = '';
	let comma = '';
	for await (const piece of pieces) {
		if ('table' in piece) {
			yield `${endOfTable}${JSON.stringify(piece.table)}:[`;
			endOfTable = '],';
			comma = '';
		} else {
			yield comma + piece.rows.join(',');
			comma = ',';
		}
	}
	yield endOfTable === '' ? '}}' : ']}}';
}
