// Generated from contract/openapi.json by scripts/generate.ts. Do not edit.
/** One fault that a validator found. */
export interface Fault {
	instancePath: string;
	keyword: string;
	params: Record<string, unknown>;
	message?: string;
}
/** True where the body has the contract's shape; else `errors` says what it lacks, until the next call. */
export interface Validator {
	(body: unknown): boolean;
	errors?: Fault[] | null;
}
export const requestMagicLink: Validator;
export const verifyMagicLink: Validator;
export const addRow: Validator;
export const deleteWhere: Validator;
export const upsertRow: Validator;
export const batch: Validator;
export const batch_add_envelope: Validator;
export const batch_add: Validator;
export const batch_upsert_envelope: Validator;
export const batch_upsert: Validator;
export const batch_update_row_envelope: Validator;
export const batch_update_row: Validator;
export const batch_update_where_envelope: Validator;
export const batch_update_where: Validator;
export const batch_delete_envelope: Validator;
export const batch_delete: Validator;
export const updateRow: Validator;
export const updateWhere: Validator;
export const restoreVersion: Validator;
export const createTextFieldLink: Validator;
export const createRowLink: Validator;
export const createQueryLink: Validator;
export const createKey: Validator;
