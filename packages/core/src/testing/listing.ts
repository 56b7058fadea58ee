import type { MemoryKernel, MemoryLink, MemoryNetns } from './memory-kernel.ts';

/** Everything in a kernel, as text for golden tables. What the kernel makes up by itself is not in it. */
export function listing(kernel: MemoryKernel): string {
  const [first, second, ...rest] = [...kernel.namespaces.keys()];
  const order = [first!, second!, ...rest.sort()];
  const seen = new Set<MemoryNetns>();
  const lines = order.flatMap((path) => {
    const netns = kernel.netns(path);
    const again = seen.has(netns);
    seen.add(netns);
    return [path, ...(again ? [`  is ${kernel.pathOf(netns)}`] : contents(kernel, netns).map((line) => `  ${line}`))];
  });
  return `${lines.join('\n')}\n`;
}

function contents(kernel: MemoryKernel, netns: MemoryNetns): string[] {
  const links = [...netns.links.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return [
    ...[...netns.sysctls].map(([key, value]) => `sysctl ${key} ${value}`).sort(),
    ...links.flatMap((link) => [linkLine(kernel, link), ...onLink(link).map((line) => `  ${line}`)]),
  ];
}

function linkLine(kernel: MemoryKernel, link: MemoryLink): string {
  const { name, kind, mac, macGiven, mtu, up, master, vni, local, quiet, isolated, alias, peer } = link;
  return [
    `${kind} ${name}`,
    ...(macGiven ? [mac] : []),
    `mtu ${mtu}`,
    up ? 'up' : 'down',
    ...(master ? [`master ${master.name}`] : []),
    ...(quiet ? ['quiet'] : []),
    ...(isolated ? ['isolated'] : []),
    ...(vni === undefined ? [] : [`vni ${vni}`]),
    ...(local === undefined ? [] : [`local ${local}`]),
    ...(alias === undefined ? [] : [`"${alias}"`]),
    ...(peer ? [`↔ ${kernel.pathOf(peer.netns)} ${peer.name}`] : []),
  ].join(' ');
}

function onLink({ addresses, routes, neighbours, fdb, given }: MemoryLink): string[] {
  return [
    // In their order: it decides which address is a subnet's first.
    ...addresses.map((address) => `address ${address}`),
    ...routes.map((r) => `route ${r.destination}${r.gateway ? ` via ${r.gateway}` : ''}`).sort(),
    ...[...neighbours].map(([address, mac]) => `neighbour ${address} ${mac}`).sort(),
    ...fdb.map((f) => `fdb ${f.mac} → ${f.destination}`).sort(),
    ...[...given].map((mac) => `fdb ${mac}`).sort(),
  ];
}
