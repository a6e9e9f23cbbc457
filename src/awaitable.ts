/**
 * A value that may be there already. The embedded engine answers reads at once; passing them through promises would cost a
 * cached read a tenth of its time.
 */
export type Awaitable<T> = T | Promise<T>;

/** `next(value)`, now where the value is there, else once it is. */
export function then<T, U>(value: Awaitable<T>, next: (value: T) => Awaitable<U>): Awaitable<U> {
	return value instanceof Promise ? value.then(next) : next(value);
}
