import type { Command } from 'commander';
import { type CommonOptions, daemonClient, withDaemon } from '../client.ts';
import { examples } from '../options.ts';
import { print } from '../output.ts';
import { reportOf } from '../report/report.ts';
import { viewOf } from '../report/view.ts';
import { render } from '../template/render.ts';

const HELP = `
The template is Go's: fields, $variables, range, with, if, else, and the functions
json, len, index, printf, print, println, and, or, not, eq, ne, lt, le, gt, ge.
`;

export const reportCommand = (): Command =>
  daemonClient('report')
    .description('all that is known of this host and the others, as JSON or as a template makes it')
    .option('-f, --format <template>', 'print this instead, filled in')
    .addHelpText('after', HELP)
    .addHelpText(
      'after',
      examples(
        'weave report',
        "weave report -f '{{.Router.Name}}'",
        `weave report -f '{{range .Router.Targets}}{{.}}{{"\\n"}}{{end}}'`,
      ),
    )
    .action(async ({ format, json, ...options }: CommonOptions & { format?: string }) => {
      const report = await withDaemon(options, async (weave) => reportOf(await viewOf(weave)));
      if (format === undefined) return void process.stdout.write(`${JSON.stringify(report, null, 4)}\n`);
      const text = render(format, report);
      if (json) print({ text }, json, String);
      // As it is: where a line ends is said by the template.
      else process.stdout.write(text);
    });
