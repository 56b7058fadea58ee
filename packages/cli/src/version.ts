export { VERSION } from '@weave/sdk/client';
