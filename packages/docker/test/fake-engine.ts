import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import Docker from 'dockerode';

export interface FakeNetwork {
  Id: string;
  Name: string;
  Driver?: string;
  Internal?: boolean;
  Options?: Record<string, string>;
  IPAM?: { Driver: string; Config: object[] | null };
  Containers?: Record<
    string,
    { Name: string; EndpointID: string; MacAddress: string; IPv4Address: string; IPv6Address: string }
  >;
}

export interface FakeContainer {
  Id: string;
  Name: string;
  Pid?: number;
  /** Network → endpoint. */
  endpoints?: Record<string, string>;
  hostname?: string;
  /** On each of its networks. */
  aliases?: string[];
  /** One that it exposes, such as `80/tcp`. */
  ports?: string;
  /** By default `running` or `exited`. */
  status?: string;
  restart?: string;
  /** Why its last start failed. */
  error?: string;
}

/** The part of Docker's API that is asked here, on a unix socket; the bodies are those of engine 20.10. */
export class FakeEngine {
  readonly networks = new Map<string, FakeNetwork>();
  readonly containers = new Map<string, FakeContainer>();
  /** Awaited before anything is answered. */
  beforeAnswer: (path: string) => Promise<unknown> = async () => undefined;
  /** What it says when a container is to start; by default it starts. */
  startFails: string | undefined;
  /** How often somebody asked for the events. */
  listened = 0;
  readonly asked: string[] = [];
  readonly #socket: string;
  readonly #streams = new Set<ServerResponse>();
  #server: Server | undefined;

  constructor(socket: string) {
    this.#socket = socket;
  }

  get docker(): Docker {
    return new Docker({ socketPath: this.#socket });
  }

  /** Event streams that are open. */
  get streams(): number {
    return this.#streams.size;
  }

  async start(): Promise<this> {
    this.#server = createServer((request, response) => {
      const url = new URL(request.url ?? '', 'http://docker');
      this.asked.push(url.pathname + url.search);
      void this.beforeAnswer(url.pathname).then(() => this.#answer(request.method ?? '', url, response));
    });
    rmSync(this.#socket, { force: true });
    this.#server.listen(this.#socket);
    await once(this.#server, 'listening');
    return this;
  }

  /** As after kill -9. */
  async stop(): Promise<void> {
    this.#server?.close();
    this.#server?.closeAllConnections();
  }

  emit(...events: object[]): void {
    this.write(events.map((event) => `${JSON.stringify(event)}\n`).join(''));
  }

  write(text: string): void {
    for (const stream of this.#streams) stream.write(text);
  }

  /** The engine ends its streams in good order. */
  endStreams(): void {
    for (const stream of this.#streams) stream.end();
  }

  /** Their connections break. */
  cutStreams(): void {
    for (const stream of this.#streams) stream.destroy();
  }

  #answer(method: string, url: URL, response: ServerResponse): void {
    const [, kind, id, rest] = url.pathname.split('/');
    const network = kind === 'networks' ? this.networks.get(id!) : undefined;
    const container = kind === 'containers' && rest === 'json' ? this.containers.get(id!) : undefined;
    if (kind === 'events') this.#listen(response);
    else if (kind === 'containers' && id === 'json') json(response, this.#listContainers(url));
    else if (method === 'POST' && rest === 'start') this.#start(id!, response);
    else if (kind === 'networks' && id === undefined) json(response, this.#list(url));
    else if (network) json(response, networkBody(network));
    else if (container) json(response, containerBody(container));
    else json(response, { message: `No such ${kind}: ${id}` }, 404);
  }

  #listen(response: ServerResponse): void {
    this.listened++;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    this.#streams.add(response);
    response.on('close', () => this.#streams.delete(response));
  }

  #start(id: string, response: ServerResponse): void {
    if (this.startFails) {
      json(response, { message: this.startFails }, 500);
      return;
    }
    this.containers.set(id, { ...this.containers.get(id)!, Pid: 1, status: 'running', error: '' });
    response.writeHead(204).end();
  }

  #listContainers(url: URL): object[] {
    const { status, network } = JSON.parse(url.searchParams.get('filters') ?? '{}') as Record<string, string[]>;
    return [...this.containers.values()]
      .filter((c) => status?.includes(statusOf(c)))
      .filter(({ endpoints = {} }) => Object.keys(endpoints).some((name) => network?.includes(name)))
      .map(({ Id, Name }) => ({ Id, Names: [`/${Name}`] }));
  }

  #list(url: URL): object[] {
    const { driver } = JSON.parse(url.searchParams.get('filters') ?? '{}') as { driver?: string[] };
    const matches = (n: FakeNetwork) => !driver || driver.includes(n.Driver ?? 'weave');
    // The listing says nothing of containers.
    return [...this.networks.values()].filter(matches).map((n) => ({ ...networkBody(n), Containers: {} }));
  }
}

function json(response: ServerResponse, body: object, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

const networkBody = (network: FakeNetwork) => ({
  Created: '2026-11-21T01:32:54.862539691Z',
  Scope: 'local',
  Driver: 'weave',
  EnableIPv6: false,
  IPAM: { Driver: 'weave', Options: {}, Config: [] },
  Internal: false,
  Attachable: false,
  Ingress: false,
  ConfigFrom: { Network: '' },
  ConfigOnly: false,
  Containers: {},
  Options: {},
  Labels: {},
  ...network,
});

const statusOf = ({ Pid = 0, status = Pid ? 'running' : 'exited' }: FakeContainer): string => status;

function containerBody(container: FakeContainer): object {
  const { Id, Name, Pid = 0, endpoints = {}, restart = '', error = '' } = container;
  const { hostname, aliases = [], ports } = container;
  const network = (EndpointID: string) => ({
    IPAMConfig: null,
    Links: null,
    Aliases: [...aliases, Id.slice(0, 12)],
    EndpointID,
    Gateway: '',
    IPAddress: '',
    IPPrefixLen: 0,
    DriverOpts: null,
  });
  return {
    Id,
    Name: `/${Name}`,
    State: { Status: statusOf(container), Running: Pid > 0, Pid, ExitCode: 0, Error: error },
    Config: { Hostname: hostname ?? Id.slice(0, 12), Domainname: '', ExposedPorts: ports && { [ports]: {} } },
    HostConfig: { RestartPolicy: { Name: restart, MaximumRetryCount: 0 } },
    NetworkSettings: {
      SandboxKey: `/var/run/docker/netns/${Id.slice(0, 12)}`,
      Ports: {},
      Networks: Object.fromEntries(Object.entries(endpoints).map(([name, id]) => [name, network(id)])),
    },
  };
}
