import { t } from 'tap';
import type { Standing } from '../../src/managed/decide.ts';
import { createParty } from '../../src/managed/party.ts';

const lone = (heard = true, able = true) => {
  const record = { targets: [] };
  const parts = {
    peer: { id: 'm', name: 'm' },
    able,
    busy: () => false,
    shelf: { record },
    life: {},
    heard: () => heard,
  };
  return createParty(parts as unknown as Parameters<typeof createParty>[0]);
};
const met = (peer: string, standing: Standing = 'lone', able = true) => ({ peer, standing, able });

t.test('who should begin is the first by name of those that are lone and able', async (t) => {
  const party = lone();
  t.equal(party.side().first, 'm');
  t.equal(party.side({ peer: 'k' }).first, 'k', 'also whom it is about to meet');
  party.met(met('b', 'lone', false));
  t.equal(party.side().first, 'm');
  party.met(met('x'));
  t.equal(party.side().first, 'm');
  party.met(met('c'));
  t.equal(party.side().first, 'c');
  party.met(met('c', 'settled'));
  t.equal(party.side().first, 'm');
  t.equal(lone(true, false).side().first, undefined);
});

t.test('nobody begins while one is on its way, or not all have been heard', async (t) => {
  const party = lone();
  party.met(met('x', 'moving'));
  t.equal(party.side().first, undefined);
  party.met(met('x', 'single'));
  t.equal(party.side().first, 'm');
  t.equal(lone(false).side().first, undefined);
});
