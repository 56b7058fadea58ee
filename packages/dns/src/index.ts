export { qualify, serveNames } from './serve.ts';
export type * from './types.ts';
