import type { Transporter } from 'nodemailer';
import { Refusal } from '../errors.ts';

/** Sends the one kind of mail there is. */
export interface Mailer {
	/** @throws Refusal mail_unavailable, or email_refused where the mail server will not deliver to the address. */
	sendMagicLink(email: string, link: string, minutes: number, purpose: MailPurpose): Promise<void>;
	close(): void;
}

/** What a magic link is for. The name of an app is not in the mail: apps choose it, and anybody may have mail sent to anybody. */
export type MailPurpose = keyof typeof PURPOSES;

const PURPOSES = {
	'sign-in': { leads: 'It opens the console, or makes an API key', closing: 'without the link nobody gets in' },
	connect: {
		leads: 'It goes on with connecting an app, in the browser in which you began',
		closing: 'without the link no app is connected',
	},
} as const;

const TIMEOUT_MS = 10_000;

/** A mailer over SMTP. `url` is `smtp://` or `smtps://` with user and password where the server wants them. */
export async function smtpMailer(url: string, from: string, onFault: (cause: string) => void): Promise<Mailer> {
	// Loaded here because a server without mail starts faster without it.
	const { createTransport } = await import('nodemailer');
	const transport: Transporter = createTransport({
		url,
		pool: true,
		connectionTimeout: TIMEOUT_MS,
		greetingTimeout: TIMEOUT_MS,
		socketTimeout: TIMEOUT_MS,
		disableFileAccess: true,
		disableUrlAccess: true,
	} as object);
	return {
		async sendMagicLink(email, link, minutes, purpose) {
			const host = new URL(link).host;
			try {
				await transport.sendMail({
					from,
					to: { name: '', address: email },
					subject: `Sign in to pumaDB at ${host}`,
					text: textBody(link, host, minutes, purpose),
					html: htmlBody(link, host, minutes, purpose),
					headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
				});
			} catch (error) {
				const { responseCode, code } = error as { responseCode?: number; code?: string };
				onFault(`${code ?? 'EMAIL'} ${responseCode ?? ''}`.trim());
				if (code === 'EENVELOPE' && responseCode !== undefined && responseCode >= 500) {
					throw new Refusal(
						'email_refused',
						'The mail server refuses this address. Check it for typing errors, or send another.',
						{
							field: 'email',
						},
					);
				}
				throw new Refusal('mail_unavailable', 'The sign-in mail could not be sent. Send the call again in a minute.');
			}
		},
		close: () => transport.close(),
	};
}

function textBody(link: string, host: string, minutes: number, purpose: MailPurpose): string {
	const { leads, closing } = PURPOSES[purpose];
	return `Sign in to pumaDB

Open this link to sign in at ${host}. ${leads}:

${link}

The link works once, for ${minutes} minutes. If you did not ask for it, ignore this mail:
${closing}.
`;
}

function htmlBody(link: string, host: string, minutes: number, purpose: MailPurpose): string {
	const { leads, closing } = PURPOSES[purpose];
	const href = link.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
	return `<!doctype html>
<html lang="en">
<body style="margin:0;padding:32px 16px;font:16px/1.5 system-ui,sans-serif;color:#1c1917;background:#ffffff">
<div style="max-width:480px;margin:0 auto">
<h1 style="font-size:20px;margin:0 0 16px">Sign in to pumaDB</h1>
<p style="margin:0 0 24px">Open this link to sign in at ${host}. ${leads}.</p>
<p style="margin:0 0 24px"><a href="${href}" style="display:inline-block;padding:12px 20px;border-radius:8px;background:#9a3412;color:#ffffff;text-decoration:none;font-weight:600">Sign in</a></p>
<p style="margin:0 0 24px;font-size:14px;color:#57534e">Or copy it into a browser:<br><span style="word-break:break-all">${href}</span></p>
<p style="margin:0;font-size:14px;color:#57534e">The link works once, for ${minutes} minutes. If you did not ask for it, ignore this mail: ${closing}.</p>
</div>
</body>
</html>
`;
}
