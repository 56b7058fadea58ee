/** One line of the table. */
export interface Measure {
  part: string;
  name: string;
  /** What `value` counts: `ms`, `/s`, `MB`, `%`. */
  unit: string;
  value: number;
  /** Quantiles, where `value` is the median of several. */
  p95?: number;
  p99?: number;
  reference?: { name: string; value: number };
  /** Value to reference: less is better. */
  ratio?: number;
  target?: string;
  met?: boolean;
}

/** `atMost` is about the ratio where there is a reference, and about the value where there is none. */
export interface Aim {
  name: string;
  unit?: string;
  reference?: { name: string; samples: readonly number[] };
  atMost?: number;
  atLeast?: number;
}

/** A measure's samples as a line of the table; part names are added by who ran the part. */
export function measured(samples: readonly number[], aim: Aim): Omit<Measure, 'part'> {
  const { name, unit = 'ms', reference, atMost, atLeast } = aim;
  const value = quantile(samples, 0.5);
  const beside = reference && { name: reference.name, value: quantile(reference.samples, 0.5) };
  const ratio = beside && value / beside.value;
  const judged = ratio ?? value;
  const sign = ratio === undefined ? ` ${unit}` : '×';
  return {
    name,
    unit,
    value,
    ...(samples.length > 1 ? { p95: quantile(samples, 0.95), p99: quantile(samples, 0.99) } : {}),
    ...(beside ? { reference: beside, ratio: judged } : {}),
    ...(atMost === undefined ? {} : { target: `≤ ${atMost}${sign}`, met: judged <= atMost }),
    ...(atLeast === undefined ? {} : { target: `≥ ${atLeast}${sign}`, met: judged >= atLeast }),
  };
}

export function quantile(samples: readonly number[], q: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

/** Milliseconds that `work` took. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
