import type { Measure } from './measure.ts';

export interface Results {
  /** YYYY-MM-DD. */
  date: string;
  kernel: string;
  cpus: number;
  measures: Measure[];
}

const HEADINGS = ['part', 'measure', 'p50', 'p95', 'p99', 'beside', 'ratio', 'target'];

/** As Markdown; where there are results from before, with the change since then. */
export function table({ date, kernel, cpus, measures }: Results, before?: Results): string {
  const rows = measures.map((m) => [...cells(m), ...(before ? [change(m, before.measures)] : [])]);
  const headings = [...HEADINGS, ...(before ? ['change'] : [])];
  const all = [headings, ...rows];
  const widths = headings.map((_, i) => Math.max(...all.map((row) => row[i]!.length)));
  const line = (row: readonly string[]) => `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  const rule = line(widths.map((width) => '-'.repeat(width)));
  return [`${date}, Linux ${kernel}, ${cpus} CPUs`, '', line(headings), rule, ...rows.map(line)].join('\n');
}

function cells(m: Measure): string[] {
  const quantity = (value: number | undefined) => (value === undefined ? '' : `${short(value)} ${m.unit}`);
  return [
    m.part,
    m.name,
    quantity(m.value),
    quantity(m.p95),
    quantity(m.p99),
    m.reference ? `${m.reference.name} ${quantity(m.reference.value)}` : '',
    m.ratio === undefined ? '' : `${short(m.ratio)}×`,
    m.target ? `${m.target} ${m.met ? '✓' : '✗'}` : '',
  ];
}

/** The ratio moves less with the machine than the value does. */
function change(m: Measure, before: readonly Measure[]): string {
  const was = before.find((b) => key(b) === key(m));
  if (!was) return '';
  const percent = Math.round(((m.ratio ?? m.value) / (was.ratio ?? was.value) - 1) * 100);
  return `${percent >= 0 ? '+' : ''}${percent} %`;
}

const key = ({ part, name, reference }: Measure) => `${part} ${name} ${reference?.name ?? ''}`;

const short = (value: number) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
