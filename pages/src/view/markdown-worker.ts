import { renderMarkdown } from './markdown.ts';

/** Renders in a thread of its own: there are texts that Markdown takes seconds for, and typing must not wait. */
addEventListener('message', ({ data }: MessageEvent<string>) => postMessage(renderMarkdown(data)));
