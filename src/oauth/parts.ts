import type { FaceParts } from '../http/face.ts';
import type { Clients } from './clients.ts';

/** What the endpoints of OAuth are made of. */
export interface OAuthParts extends FaceParts {
	readonly clients: Clients;
	/** How long an access token lives. */
	readonly accessTokenTtlSeconds: number;
}
