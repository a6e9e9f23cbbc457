import type { Limits } from '../limits.ts';
import { toolOf } from './call-tool.ts';
import { LINK_TOOLS } from './link-tools.ts';
import { REMEMBER_TOOLS } from './remember.ts';
import { rowTools } from './row-tools.ts';
import type { Tool } from './tool.ts';

/** The tools there are, always in this order. @param links false where there is no server that could show links. */
export function allTools(limits: Limits, links: boolean): readonly Tool[] {
	return [...rowTools(limits), ...REMEMBER_TOOLS, ...(links ? LINK_TOOLS : [])].map(toolOf);
}

/** Names of the tools that a server has and a database alone has not. */
export const LINK_TOOL_NAMES: readonly string[] = LINK_TOOLS.map(({ name }) => name);
