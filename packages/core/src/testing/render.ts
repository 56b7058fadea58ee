import { desired, type Unit } from '../desired.ts';
import type { Op } from '../kernel.ts';
import type { Batch } from '../plan.ts';
import { State } from '../state.ts';

/**
 * Text for golden tables: one line an operation, below a heading for each unit or batch. A state is shown as what it
 * desires.
 */
export function render(what: State | readonly (Unit | Batch)[] | readonly Op[]): string {
  const list = what instanceof State ? desired(what) : what;
  return list.map((each) => ('op' in each ? `${line(each)}\n` : group(each))).join('');
}

const group = (each: Unit | Batch): string =>
  [each.key, ...('ops' in each ? each.ops : each.resources).map((op) => `  ${line(op)}`), ''].join('\n');

const VERBS: Record<Op['op'], string> = {
  addBridge: 'bridge',
  addVxlan: 'vxlan',
  addVeth: 'veth',
  addAddress: 'address',
  addRoute: 'route',
  addNeighbour: 'neighbour',
  addFdb: 'fdb',
  setSysctl: 'sysctl',
  setLink: 'set',
  setPeer: 'set far end of',
  deleteLink: 'delete link',
  retireLink: 'retire link',
  deleteAddress: 'delete address',
  deleteRoute: 'delete route',
  deleteNeighbour: 'delete neighbour',
  deleteFdb: 'delete fdb',
  announce: 'announce',
};

const line = (op: Op): string => [VERBS[op.op], op.netns, ...words(op)].join(' ');

function words(op: Op): (string | number)[] {
  switch (op.op) {
    case 'addBridge':
      return [op.name, op.mac, 'mtu', op.mtu, ...(op.alias ? [`"${op.alias}"`] : [])];
    case 'addVxlan':
      return [
        ...[op.name, `(${op.master})`, 'vni', op.vni, 'port', op.port, 'mtu', op.mtu],
        ...(op.local ? ['local', op.local] : []),
      ];
    case 'addVeth':
      return vethWords(op);
    case 'setLink':
      return setWords(op);
    case 'setPeer':
      return [op.name, 'in', op.peer, ...(op.mtu ? ['mtu', op.mtu] : []), ...(op.address ? [op.address] : [])];
    case 'deleteLink':
    case 'retireLink':
      return [op.name];
    case 'announce':
      return [op.link, op.address];
    case 'setSysctl':
      return [op.key, op.value, ...(op.ifPresent ? ['if present'] : [])];
    case 'addAddress':
    case 'deleteAddress':
      return [op.link, op.address];
    case 'addNeighbour':
    case 'deleteNeighbour':
      return [op.link, op.address, op.mac];
    case 'addFdb':
    case 'deleteFdb':
      return [op.link, op.mac, ...(op.destination ? ['→', op.destination] : [])];
    case 'addRoute':
      return [
        op.link,
        op.destination,
        ...(op.gateway ? ['via', op.gateway] : []),
        ...(op.ifAbsent ? ['if absent'] : []),
      ];
    case 'deleteRoute':
      return [op.link, op.destination, ...(op.gateway ? ['via', op.gateway] : [])];
  }
}

function vethWords({ name, mtu, master, up, isolated, peer }: Extract<Op, { op: 'addVeth' }>): string[] {
  const near = [...(master ? [master] : []), up ? 'up' : 'down', ...(isolated ? ['isolated'] : [])].join(', ');
  const mac = peer.mac ? ` ${peer.mac}` : '';
  const far = [...(peer.master ? [peer.master] : []), peer.up ? 'up' : 'down'].join(', ');
  const mtus = peer.mtu === mtu ? `mtu ${mtu}` : `mtu ${mtu}/${peer.mtu}`;
  return [`${name} (${near}) ↔ ${peer.netns} ${peer.name}${mac} (${far})`, mtus];
}

function setWords({ name, up, mtu, mac, master }: Extract<Op, { op: 'setLink' }>): (string | number)[] {
  return [
    name,
    ...(up === undefined ? [] : [up ? 'up' : 'down']),
    ...(mtu === undefined ? [] : ['mtu', mtu]),
    ...(mac === undefined ? [] : [mac]),
    ...(master === undefined ? [] : master ? ['master', master] : ['nomaster']),
  ];
}
