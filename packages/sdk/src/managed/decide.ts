/** What a host is when it meets another: of no cluster; alone in one; of one with others; or just on its way. */
export type Standing = 'lone' | 'single' | 'settled' | 'moving';

export interface Side {
  readonly peer: string;
  readonly standing: Standing;
  readonly cluster?: string | undefined;
  /** Whether it can run the etcd of a cluster. */
  readonly able: boolean;
  /** It has endpoints: of hosts that meet, who has some begins, so that its addresses are first. */
  readonly busy?: boolean | undefined;
  /**
   * Who of the lone hosts that it knows of, itself among them, should begin a cluster; absent while it has not yet heard
   * from those that it shall connect to.
   */
  readonly first?: string | undefined;
}

/** For the one whose side is given first. */
export type Decision = 'together' | 'host' | 'join' | 'wait' | 'refuse' | 'unable';

/**
 * Which of two hosts that meet joins the other: both come to the same answer. Who is alone joins who is not; of two that
 * are alone in clusters the one with the lower name stays; of two without, the one that both think should begin, so that
 * of many hosts that start at once and know each other only one does.
 */
export function decide(mine: Side, theirs: Side): Decision {
  if (mine.cluster !== undefined && mine.cluster === theirs.cluster) return 'together';
  if (mine.standing === 'moving' || theirs.standing === 'moving') return 'wait';
  const [a, b] = [rank(mine), rank(theirs)];
  if (a === 2 && b === 2) return 'refuse';
  if (a !== b) return a > b ? 'host' : 'join';
  if (a === 1) return mine.peer < theirs.peer ? 'host' : 'join';
  if (!mine.able && !theirs.able) return 'unable';
  if (mine.first === undefined || mine.first !== theirs.first) return 'wait';
  return mine.first === mine.peer ? 'host' : mine.first === theirs.peer ? 'join' : 'wait';
}

const rank = ({ standing }: Side): number => ['lone', 'single', 'settled'].indexOf(standing);
