import t from 'tap';
import { parseDockerRun } from '../src/docker-words.ts';

const parse = (line: string) => parseDockerRun(line.split(' '));

t.test('what docker run is asked for', async (t) => {
  const table: [line: string, expected: Partial<ReturnType<typeof parseDockerRun>>][] = [
    ['busybox sh -d', { init: false, detached: false }],
    ['-d busybox', { detached: true }],
    ['-tid busybox', { detached: true }],
    ['-ti --rm busybox -d', { detached: false }],
    ['-v /d:/d busybox', { detached: false }],
    ['-v -d busybox', { detached: false }],
    ['-tiv/d:/d -d busybox', { detached: true }],
    ['-tiv /d -d busybox', { detached: true }],
    ['--name -d busybox', { detached: false }],
    ['--name=x --detach busybox', { detached: true }],
    ['--detach=false busybox', { detached: false }],
    ['-d --detach=false busybox', { detached: false }],
    ['--init busybox --init', { init: true, words: ['busybox', '--init'] }],
    ['--init=true -t busybox', { init: true, words: ['-t', 'busybox'] }],
    ['-e A --init=false --init --init=false busybox', { init: false, words: ['-e', 'A', 'busybox'] }],
    ['--init --init=FALSE --detach=F busybox', { init: false, detached: false }],
    ['--read-only busybox', { isReadOnly: true }],
    ['--read-only=False busybox --read-only', { isReadOnly: false }],
    ['--name --init busybox', { init: false, words: ['--name', '--init', 'busybox'] }],
    ['--cidfile /a --cidfile=/b busybox', { cidfile: '/b' }],
    ['-e CIDFILE=--cidfile busybox --cidfile /a', { words: ['-e', 'CIDFILE=--cidfile', 'busybox', '--cidfile', '/a'] }],
    ['-- --init', { init: false, words: ['--', '--init'] }],
    ['--net container:x --network none busybox --net host', { init: false }],
    ['-', { words: ['-'] }],
    ['-v', { words: ['-v'] }],
    ['--name', { words: ['--name'] }],
  ];
  for (const [line, expected] of table) t.match(parse(line), expected, line);
});

t.test('what cannot be held back', async (t) => {
  for (const line of ['--net host x', '--network=host x', '-d --net=host x'])
    t.throws(() => parse(line), { code: 'WEAVE_HOST_NETWORK' }, line);
  for (const line of ['--pid host x', '--pid=container:y x'])
    t.throws(() => parse(line), { code: 'WEAVE_INVALID_REQUEST' }, line);
});
