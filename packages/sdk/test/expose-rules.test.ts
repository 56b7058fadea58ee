import { spawnSync } from 'node:child_process';
import t from 'tap';
import { forwardedLinks } from '../src/expose-rules.ts';
import { ruleset } from '../src/firewall.ts';

const rules = {
  ...{ gateways: [], ports: [] },
  exposed: [
    { link: 'weave', subnets: ['10.2.1.0/24', 'fd00:2::/64'], masqueraded: ['10.2.1.0/24', 'fd00:2::/64'] },
    { link: 'weave-blue', subnets: ['10.3.0.0/24'], masqueraded: [] },
  ],
};

t.test('nft takes it, and masquerades what is to be', async (t) => {
  const nft = (args: string[], input: string) =>
    spawnSync('unshare', ['--net', 'sh', '-c', `nft -f - && nft ${args.join(' ')}`], { input, encoding: 'utf8' });
  const { status, stdout, stderr } = nft(['list', 'table', 'inet', 'weave'], ruleset(rules, new Set()));
  t.strictSame([status, stderr], [0, '']);
  t.match(stdout, /oifname \{ "weave", "weave-blue" \} iifname \{ "weave", "weave-blue" \} drop/);
  t.match(stdout, 'ip6 saddr fd00:2::/64 ip6 daddr != { fd00:2::/64, ff00::/8 } oifname != "weave" masquerade');
  t.match(stdout, 'ip daddr 10.2.1.0/24 ip saddr != 10.2.1.0/24 oifname "weave" masquerade');
  t.notMatch(stdout, '10.3.0.0');
});

t.test('the links that a FORWARD policy would stop', async (t) => {
  const gateways = [{ link: 'weavegwx', subnets: ['10.4.0.0/24'] }];
  t.strictSame(forwardedLinks(undefined), []);
  t.strictSame(forwardedLinks(rules), ['weave', 'weave-blue']);
  t.strictSame(forwardedLinks({ ...rules, gateways }), ['weavegw+', 'weave', 'weave-blue']);
});
