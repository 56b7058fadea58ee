import type { Status } from './weave.ts';

/** What Prometheus reads: its text format, version 0.0.4. */
export function metricsOf({ networks, endpoints, started, repairs }: Status): string {
  const metric = (name: string, type: string, help: string, samples: Record<string, number>) => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...Object.entries(samples).map(([labels, value]) => `${name}${labels} ${value}`),
  ];
  const byOperation = Object.fromEntries(Object.entries(repairs).map(([op, n]) => [`{operation="${op}"}`, n]));
  return [
    ...metric('weave_networks', 'gauge', 'Networks of this host.', { '': networks }),
    ...metric('weave_endpoints', 'gauge', 'Endpoints of this host.', { '': endpoints }),
    ...metric('weave_start_time_seconds', 'gauge', 'When the daemon started.', { '': started / 1000 }),
    ...metric('weave_repairs_total', 'counter', 'What was found broken and mended.', byOperation),
    '',
  ].join('\n');
}
