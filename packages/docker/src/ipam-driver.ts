import { NETWORK_OPTION, WeaveError } from '@weave/sdk';
import { type Methods, method } from './method.ts';
import { ADDRESS_SPACE } from './network-driver.ts';
import * as wire from './wire.ts';

/** libnetwork's IpamDriver, over the SDK's pools. */
export const ipamDriver = (): Methods => ({
  // Replay would have the engine ask for every address again at its start, and give up those that are "in use".
  'IpamDriver.GetCapabilities': { answer: () => ({ RequiresMACAddress: false, RequiresRequestReplay: false }) },
  'IpamDriver.GetDefaultAddressSpaces': {
    answer: () => ({ LocalDefaultAddressSpace: ADDRESS_SPACE, GlobalDefaultAddressSpace: 'weave-global' }),
  },
  'IpamDriver.RequestPool': method(wire.RequestPool, async (weave, body) => {
    const { [NETWORK_OPTION]: network, ...others } = body.Options ?? {};
    const [unknown] = Object.keys(others);
    if (unknown)
      throw new WeaveError('WEAVE_UNKNOWN_OPTION', `unknown IPAM option ${unknown}`, {
        hint: `The weave IPAM driver knows ${NETWORK_OPTION}: the name of a weave network whose addresses to use.`,
      });
    const { id, cidr, noGateway } = await weave.pools.request({
      family: body.V6 ? 6 : 4,
      cidr: body.Pool || undefined,
      range: body.SubPool || undefined,
      network: network || undefined,
    });
    // Else the engine would ask for an address of its own, another one on each host.
    return { PoolID: id, Pool: cidr, Data: noGateway ? { [wire.GATEWAY]: cidr } : {} };
  }),
  'IpamDriver.ReleasePool': method(wire.ReleasePool, async (weave, { PoolID }) => {
    if (PoolID) await weave.pools.release(PoolID);
    return {};
  }),
  'IpamDriver.RequestAddress': method(wire.RequestAddress, async (weave, { PoolID, Address }) => ({
    Address: await weave.pools.requestAddress(PoolID, Address || undefined),
    Data: {},
  })),
  'IpamDriver.ReleaseAddress': method(wire.ReleaseAddress, async (weave, { PoolID, Address }) => {
    if (PoolID) await weave.pools.releaseAddress(PoolID, Address);
    return {};
  }),
});
