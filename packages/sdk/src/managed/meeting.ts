import { createHash, randomBytes } from 'node:crypto';
import { WeaveError } from '@weave/core';
import type { Channel } from './channel.ts';
import { type Decision, decide, type Side } from './decide.ts';
import { type Admission, expect, type Message, type News, PROTOCOL } from './messages.ts';
import { type Bound, isProof, proofOf } from './proof.ts';

/** What a host is and does when it meets another. */
export interface Party {
  readonly peer: string;
  readonly name: string;
  readonly able: boolean;
  readonly busy: () => boolean;
  /** What it derives from its password; absent where it has none. */
  readonly keyOf?: ((salt: string) => Promise<Buffer>) | undefined;
  cluster(): { id: string; secret: string; secured: boolean; news: News } | undefined;
  /** `beside`: a lone host that it is just about to meet. */
  side(beside?: { peer: string; busy?: boolean | undefined }): Side;
  /** The other has proven what it had to. */
  met(theirs: Side): void;
  /** What another needs in order to join; undefined where it has to ask again. Begins a cluster where there is none. */
  admit(theirs: Side): Promise<Admission | undefined>;
  /** Joins, soon. */
  join(admission: Admission, from: string): void;
  /** News of the cluster that both are of. */
  learn(news: News): void;
}

type Hello = Message<'hello'>;

const helloOf = (party: Party, salt?: string): Hello => {
  const { peer, name, able, keyOf } = party;
  const busy = party.busy();
  const cluster = party.cluster()?.id;
  const said = {
    weave: PROTOCOL,
    peer,
    name,
    able,
    ...(busy ? { busy } : {}),
    nonce: randomBytes(32).toString('hex'),
    password: Boolean(keyOf),
  };
  return { ...said, ...(salt ? { salt } : {}), ...(cluster ? { cluster } : {}) };
};

/** The one who asks. */
export async function ask(party: Party, channel: Channel): Promise<{ decision: Decision; theirs: Side }> {
  const mine = helloOf(party);
  channel.send(mine);
  const hello = sameVersion(expect('hello', await channel.receive()));
  // The host itself: some give all hosts the same list.
  if (hello.peer === party.peer) return { decision: 'together', theirs: party.side() };
  const key = await keyFor(party, mine, hello, hello.salt ?? '');
  const bound = boundTo(channel, mine, hello);
  const beside = hello.able && !hello.cluster ? hello : undefined;
  const side = party.side(beside);
  channel.send({ ...(key ? { proof: proofOf(key, 'asks', bound) } : {}), side, ...newsFor(party, mine, hello) });
  const answer = expect('answer', await channel.receive());
  // Only now is it known who this is: before, it may have been anybody.
  if (key && !isProof(answer.proof ?? '', key, 'answers', bound)) throw denied('it does not know the password');
  const theirs = sideOf(answer.side, hello);
  party.met(theirs);
  if (answer.admission) {
    party.join(answer.admission, hello.peer);
    return { decision: 'join', theirs };
  }
  if (answer.news && isOurs(party, mine, hello)) party.learn(answer.news);
  const decision = decided(side, theirs, mine, hello);
  if (decision === 'host') {
    const admission = await party.admit(theirs);
    channel.send(admission ? { admission } : {});
    expect('taken', await channel.receive());
  }
  return { decision: decision === 'join' ? 'wait' : decision, theirs };
}

/** The one who is asked. */
export async function answer(party: Party, channel: Channel, salt: string, guesses: Guesses): Promise<void> {
  const hello = sameVersion(expect('hello', await channel.receive()));
  const mine = helloOf(party, salt);
  channel.send(mine);
  const meeting = expect('meeting', await channel.receive());
  const key = await keyFor(party, mine, hello, salt, guesses.allows(channel.address));
  const bound = boundTo(channel, hello, mine);
  if (key && !isProof(meeting.proof ?? '', key, 'asks', bound)) {
    guesses.wrong(channel.address);
    throw denied('wrong password');
  }
  const theirs = sideOf(meeting.side, hello);
  party.met(theirs);
  const side = party.side();
  const decision = decided(side, theirs, mine, hello);
  const admission = decision === 'host' ? await party.admit(theirs) : undefined;
  if (meeting.news && isOurs(party, mine, hello)) party.learn(meeting.news);
  channel.send({
    ...(key ? { proof: proofOf(key, 'answers', bound) } : {}),
    ...{ side, ...(admission ? { admission } : {}), ...newsFor(party, mine, hello) },
  });
  if (decision !== 'join') return;
  const admitted = expect('admission', await channel.receive()).admission;
  if (admitted) party.join(admitted, hello.peer);
  channel.send({ taken: Boolean(admitted) });
}

export interface Guesses {
  allows(address: string): boolean;
  wrong(address: string): void;
}

/** Whether both said that they are of one cluster: then each has to prove it. */
const areMembers = (mine: Hello, theirs: Hello) => mine.cluster !== undefined && mine.cluster === theirs.cluster;

/** Whether what the other knows of a cluster is about the one that this host is of, and from one of its hosts. */
const isOurs = (party: Party, mine: Hello, theirs: Hello) =>
  areMembers(mine, theirs) && party.cluster()?.id === mine.cluster;

/** Who came to be of this host's cluster only since its hello has not proven it: it is met again. */
function decided(side: Side, theirs: Side, mine: Hello, hello: Hello): Decision {
  const decision = decide(side, theirs);
  return decision === 'together' && !areMembers(mine, hello) ? 'wait' : decision;
}

/**
 * What both have to know: what all of one cluster know, or else the password. Undefined where there is none: then
 * whoever asks is let in.
 */
async function keyFor(
  party: Party,
  mine: Hello,
  theirs: Hello,
  salt: string,
  allowed = true,
): Promise<Buffer | undefined> {
  const cluster = party.cluster();
  // By what both said: this host may have joined one since.
  if (areMembers(mine, theirs)) {
    if (!cluster || cluster.id !== mine.cluster)
      throw new WeaveError('WEAVE_PEER_UNREACHABLE', 'this host has just left that cluster');
    return createHash('sha256').update(`weave member ${cluster.secret}`).digest();
  }
  if (party.keyOf && theirs.password) {
    if (!allowed) throw denied('too many wrong passwords came from there; try again in a minute');
    return party.keyOf(salt);
  }
  if (party.keyOf) throw denied(`${theirs.name} has no password, and ${party.name} has one`);
  if (theirs.password) throw denied(`${party.name} has no password, and ${theirs.name} has one`);
  if (cluster?.secured) throw withoutPassword(party.name);
  return undefined;
}

/** The proof is by what the cluster's hosts know, so that it is from one of them. */
function newsFor(party: Party, mine: Hello, theirs: Hello): { news?: News } {
  return isOurs(party, mine, theirs) ? { news: party.cluster()!.news } : {};
}

const denied = (why: string) => new WeaveError('WEAVE_JOIN_DENIED', why);

/** Whose cluster has a password, and who has none, meets its members only. */
export const withoutPassword = (name: string) => denied(`${name} was started without its cluster’s password`);

function sameVersion(hello: Hello): Hello {
  if (hello.weave === PROTOCOL) return hello;
  throw new WeaveError(
    'WEAVE_OTHER_VERSION',
    `${hello.name} speaks version ${hello.weave} of the control protocol, this host version ${PROTOCOL}`,
  );
}

/** It is who it said at first: the proof is about that. */
const sideOf = (side: Message<'answer'>['side'], { peer, cluster }: Hello): Side =>
  ({ ...side, peer, cluster: side.cluster ?? cluster }) as Side;

const boundTo = (channel: Channel, asks: Hello, answers: Hello): Bound => ({ channel: channel.binding, asks, answers });
