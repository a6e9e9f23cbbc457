const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });

/** A stamp of the service, in the reader's own way of writing times. */
export function when(stamp: string): string {
	return FULL.format(new Date(stamp));
}

export function clock(stamp: string): string {
	return CLOCK.format(new Date(stamp));
}
