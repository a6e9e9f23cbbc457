export { type AnyRow, Puma, type PumaOptions } from './client.ts';
export { type ClientErrorCode, type ErrorCode, isPumaError, PumaError } from './errors.ts';
export type {
	ApiKey,
	CreateKeyAnswer,
	CreateQueryLinkAnswer,
	CreateRowLinkAnswer,
	CreateTextFieldLinkAnswer,
	Limits,
	ServiceErrorCode,
} from './generated.ts';
export { parseExact, stringifyExact } from './json.ts';
export type { AddOptions, Table } from './table.ts';
export type { CallOptions, RetryNotice } from './transport.ts';
export type {
	BatchOperation,
	Filter,
	Query,
	ResultOf,
	Row,
	Scalar,
	SystemMembers,
	Updated,
	Upserted,
	Version,
} from './types.ts';
