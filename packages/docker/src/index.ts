export { checkedWithEngine } from './check.ts';
export { followEngine } from './follow.ts';
export { PLUGIN_DIR, PLUGIN_NAMES, type PluginOptions, servePlugin } from './plugin.ts';
