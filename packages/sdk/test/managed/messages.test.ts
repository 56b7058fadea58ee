import { WeaveError } from '@weave/core';
import { t } from 'tap';
import { expect } from '../../src/managed/messages.ts';

const pem = '-----BEGIN CERTIFICATE-----';
const admission = (more: object = {}) => ({
  admission: {
    ...{ id: '0'.repeat(32), secured: true, epoch: 1, ca: { cert: pem, key: pem } },
    ...{ endpoints: ['https://10.0.0.1:6785', 'https://[fd00::1]:6785'], hosts: { p1: ['10.0.0.1:6783'] }, ...more },
  },
});

t.test('an admission', async (t) => {
  t.same(expect('admission', admission()), admission());
  for (const wrong of [
    { id: '../../../etc' },
    { id: 'A'.repeat(32) },
    { secured: 'yes' },
    { epoch: 0 },
    { ca: { cert: pem } },
    { ca: { cert: pem, key: `${pem}${'x'.repeat(5000)}` } },
    { endpoints: ['http://10.0.0.1:6785'] },
    { endpoints: ['https://10.0.0.1:6785/v3'] },
    { endpoints: Array(33).fill('https://10.0.0.1:6785') },
    { hosts: { 'p/1': [] } },
    { hosts: { p1: 'here' } },
    { hosts: JSON.parse('{ "__proto__": [] }') },
    { hosts: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`p${n}`, []])) },
    { more: 1 },
  ])
    t.throws(
      () => expect('admission', admission(wrong)),
      { code: 'WEAVE_INVALID_REQUEST' },
      JSON.stringify(wrong).slice(0, 60),
    );
});

t.test('an error is the other’s, as ours', async (t) => {
  const error = new WeaveError('WEAVE_JOIN_DENIED', 'wrong password', { hint: 'another' });
  t.throws(() => expect('answer', JSON.parse(JSON.stringify({ error }))), {
    code: 'WEAVE_JOIN_DENIED',
    hint: 'another',
  });
  const unknown = { error: { code: 'constructor', message: 'from the future', hint: '' } };
  t.throws(() => expect('answer', unknown), { code: 'WEAVE_PEER_UNREACHABLE', message: 'from the future' });
});
