/** What systems call the common troubles with files (errno(3)). */
const TROUBLES: Readonly<Record<string, string>> = {
	ENOENT: 'does not exist',
	EACCES: 'may not be read or written by you',
	EPERM: 'may not be read or written by you',
	EISDIR: 'is a directory',
	ENOTDIR: 'has a file where a directory should be',
	ENOSPC: 'cannot be written: the disk is full',
	EDQUOT: 'cannot be written: your quota of the disk is used up',
	EFBIG: 'cannot be written: a file may not become so large here',
	EROFS: 'cannot be written: the file system is read-only',
};

/** What to say of a file behind its name; undefined for other troubles. */
export function systemTrouble(code: string | undefined): string | undefined {
	return TROUBLES[code ?? ''];
}
