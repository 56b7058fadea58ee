import type { Measure } from './measure.ts';

export interface Results {
  /** YYYY-MM-DD. */
  date: string;
  kernel: string;
  cpus: number;
  measures: Measure[];
}

const HEADINGS = ['part', 'measure', 'p50', 'p95', 'p99', 'beside', 'ratio', 'target', 'before'];

/** As Markdown; `before` is what was committed. */
export function table({ date, kernel, cpus, measures }: Results, before: Results | undefined): string {
  const rows = measures.map((m) =>
    cells(
      m,
      before?.measures.find((b) => key(b) === key(m)),
    ),
  );
  const all = [HEADINGS, ...rows];
  const widths = HEADINGS.map((_, i) => Math.max(...all.map((row) => row[i]!.length)));
  const line = (row: readonly string[]) => `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  const rule = line(widths.map((width) => '-'.repeat(width)));
  return [`${date}, Linux ${kernel}, ${cpus} CPUs`, '', line(HEADINGS), rule, ...rows.map(line)].join('\n');
}

const key = ({ part, name, reference }: Measure) => `${part} ${name} ${reference?.name ?? ''}`;

function cells(m: Measure, before: Measure | undefined): string[] {
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
    before ? change(m, before) : '',
  ];
}

/** The ratio moves less with the machine than the value does. */
function change(m: Measure, before: Measure): string {
  const [was, is] =
    m.ratio !== undefined && before.ratio !== undefined ? [before.ratio, m.ratio] : [before.value, m.value];
  const percent = Math.round((is / was - 1) * 100);
  return `${percent >= 0 ? '+' : ''}${percent} %`;
}

const short = (value: number) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
