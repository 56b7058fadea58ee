export type { Dockerd } from './dockerd.ts';
export type { Host, HostOptions } from './host.ts';
export { createLab, type Lab, type LabOptions } from './lab.ts';
export { cleanStaleLabs } from './leftovers.ts';
export { failpoints, type Mortal, mortal } from './mortal.ts';
export type { ExecOptions, ExecResult, SpawnOptions } from './process.ts';
export { random } from './random.ts';
export type { Underlay, UnderlayOptions } from './underlay.ts';
export { quiet, settled, switchLinks, witness } from './witness.ts';
