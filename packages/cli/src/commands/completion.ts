import { Argument, Command, Help, type Option } from 'commander';
import { withDaemon } from '../client.ts';
import { examples, runDirOption } from '../options.ts';
import { print } from '../output.ts';

const BASH = `_weave() {
  local IFS=$'\\n'
  COMPREPLY=($(weave words -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _weave weave
`;
const ZSH = `#compdef weave
_weave() {
  local -a found
  found=("\${(@f)$(weave words -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -a found
}
if [ "\${funcstack[1]}" = _weave ]; then _weave "$@"; else compdef _weave weave; fi
`;
const FISH = `complete -c weave -f -a '(weave words -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`;
const SCRIPTS: Record<string, string> = { bash: BASH, zsh: ZSH, fish: FISH };

export const completionCommand = (): Command =>
  new Command('completion')
    .description('what makes a shell complete the words of this command')
    .addArgument(new Argument('<shell>').choices(Object.keys(SCRIPTS)))
    .option('--json', 'print JSON, for programs')
    .addHelpText(
      'after',
      examples(
        'weave completion bash > /etc/bash_completion.d/weave',
        'weave completion zsh > /usr/share/zsh/vendor-completions/_weave',
        'weave completion fish > /etc/fish/completions/weave.fish',
      ),
    )
    .action((shell: string, { json }: { json?: boolean }) => {
      print({ shell, script: SCRIPTS[shell]! }, json, ({ script }) => script.trimEnd());
    });

/** For those scripts: what the last of these words may become. */
export const wordsCommand = (program: () => Command): Command =>
  new Command('words')
    .addOption(runDirOption())
    .argument('[word...]')
    .action(async (words: string[], options: { runDir: string }) => {
      const before = words.slice(0, -1);
      const begun = words.at(-1) ?? '';
      const found = candidates(program(), before);
      const named = await namesOf(found.names, options);
      for (const word of [...found.words, ...named].filter((each) => each.startsWith(begun) && isShown(each, begun)))
        process.stdout.write(`${word}\n`);
    });

/** Options only for who began one. */
const isShown = (word: string, begun: string) => begun.startsWith('-') || !word.startsWith('-');

interface Candidates {
  words: string[];
  /** Of what there may be names besides. */
  names: string | undefined;
}

function candidates(program: Command, before: readonly string[]): Candidates {
  let command = program;
  let option: Option | undefined;
  for (const word of before) {
    const isValue = option !== undefined;
    option = isValue ? undefined : optionsOf(command).find((each) => takesValue(each) && isCalled(each, word));
    if (!isValue) command = command.commands.find((each) => each.name() === word) ?? command;
  }
  if (option) return { words: option.argChoices ?? [], names: option.attributeName() };
  const { registeredArguments: takes } = command;
  const commands = new Help().visibleCommands(command);
  const options = optionsOf(command).flatMap(({ long, short }) => long ?? short ?? []);
  return {
    words: [...commands.map((each) => each.name()), ...takes.flatMap(({ argChoices = [] }) => argChoices), ...options],
    names: takes[0]?.name(),
  };
}

const takesValue = ({ required, optional }: Option) => required || optional;

const isCalled = ({ long, short }: Option, word: string) => word === long || word === short;

const optionsOf = (command: Command) => new Help().visibleOptions(command);

/** Of networks, or of running containers; none where nobody answers. */
async function namesOf(what: string | undefined, options: { runDir: string }): Promise<string[]> {
  try {
    if (what === 'network')
      return (await withDaemon(options, ({ networks }) => networks.list())).map(({ name }) => name);
    if (what === 'container' || what === 'words') return await containers();
  } catch {}
  return [];
}

/** Wherever `docker` finds them. */
async function containers(): Promise<string[]> {
  const [{ execFile }, { promisify }] = await Promise.all([import('node:child_process'), import('node:util')]);
  const { stdout } = await promisify(execFile)('docker', ['ps', '--format', '{{.Names}}']);
  return stdout.split('\n').filter(Boolean).sort();
}
