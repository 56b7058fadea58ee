import type { Weave } from '@weave/sdk';
import type { Static, TSchema } from 'typebox';

/** One method of a driver protocol: what its body must be, and what answers it. */
export interface Method {
  /** Absent: the engine sends none. */
  body?: TSchema;
  answer(weave: Weave, body: never): Promise<object> | object;
}

export type Methods = Record<string, Method>;

export const method = <S extends TSchema>(
  body: S,
  answer: (weave: Weave, body: Static<S>) => Promise<object> | object,
): Method => ({ body, answer });
