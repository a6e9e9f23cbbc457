/** Recognising texts that look like live credentials. Each pattern is bounded, so that no text takes long. */

const PATTERNS: readonly (readonly [kind: string, pattern: RegExp])[] = [
	['pumadb_api_key', /puma_live_[a-z0-9]{1,64}_[a-z0-9]{16}/],
	['private_key', /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----/],
	// RFC 7519: two JSON objects in base64url, which both begin with {" , and a signature.
	['json_web_token', /(?<![\w-])eyJ[\w-]{8,4096}\.eyJ[\w-]{8,4096}\.[\w-]{16}/],
	['aws_access_key', /(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])/],
	['github_token', /(?<!\w)(?:gh[opsur]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22})/],
	['gitlab_token', /(?<![\w-])glpat-[\w-]{20}/],
	['google_api_key', /(?<!\w)AIza[\w-]{35}/],
	['npm_token', /(?<!\w)npm_[A-Za-z0-9]{36}/],
	['slack_token', /(?<!\w)xox[abeprs]-[\w-]{10}/],
	['secret_key', /(?<![\w-])[rs]k(?:_live_|-(?:[a-z0-9]{1,12}-){0,2})[A-Za-z0-9_-]{20}/],
	// RFC 3986 section 3.2.1: user information with a password.
	['url_with_password', /:\/\/[^\s:@/?#]{1,256}:[^\s@/?#]{1,256}@/],
];

/** The kinds of credentials that the texts seem to hold. */
export function credentialsIn(texts: readonly string[]): readonly string[] {
	return PATTERNS.filter(([, pattern]) => texts.some((text) => pattern.test(text))).map(([kind]) => kind);
}
