import { Refusal } from '../errors.ts';

const MAX_EMAIL_CHARACTERS = 254;
/** Addresses as people have them (a subset of RFC 5321 section 4.1.2): no quoting, no comments, ASCII. */
const EMAIL =
	/^[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;

/**
 * The form in which addresses are compared: trimmed, lower case.
 * @throws Refusal invalid_email
 */
export function normalizeEmail(text: string): string {
	const email = text.trim().toLowerCase();
	if (email.length <= MAX_EMAIL_CHARACTERS && EMAIL.test(email)) return email;
	throw new Refusal('invalid_email', 'This is not an email address. Send one such as {"email":"ada@example.com"}.', {
		field: 'email',
	});
}
