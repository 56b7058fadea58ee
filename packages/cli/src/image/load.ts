import { VERSION, WeaveError } from '@weave/sdk/client';
import type Docker from 'dockerode';
import { withProgress } from '../output.ts';
import { ask, engineFailure, unlessGone } from '../remote/engine.ts';
import { archiveOf, hashOf, sizeOf } from './archive.ts';
import { type ImageFile, imageFiles } from './files.ts';
import { IMAGE_LABEL, ROOT } from './layout.ts';

const NAME = 'weave';
/** The newest one of a version, for a machine that cannot make it. */
const BY_VERSION = `${NAME}:${VERSION}`;

/** The image of this command's files; made from them and loaded where the engine has it not. WEAVE_IMAGE_FAILED. */
export async function ensureImage(docker: Docker): Promise<string> {
  const stranger = await strangeness(docker);
  if (stranger) {
    if (await has(docker, BY_VERSION)) return BY_VERSION;
    throw new WeaveError('WEAVE_IMAGE_FAILED', `the engine has no image ${BY_VERSION}, and ${stranger}`, {
      hint: 'Run weave setup once on a machine like the engine’s own, with the same DOCKER_HOST.',
    });
  }
  const files = await imageFiles();
  const tag = `${VERSION}-${await hashOf(files)}`;
  if (!(await has(docker, `${NAME}:${tag}`))) await load(docker, files, tag);
  return `${NAME}:${tag}`;
}

/** Every image of ours, of whatever version, that no container uses. */
export async function removeImages(docker: Docker): Promise<void> {
  const images = await ask(() => docker.listImages({ filters: { label: [IMAGE_LABEL] } }));
  for (const { Id } of images) await unlessGone(() => docker.getImage(Id).remove({ force: true }));
}

const has = async (docker: Docker, image: string) => Boolean(await unlessGone(() => docker.getImage(image).inspect()));

const ARCHITECTURES: Record<string, string> = { x64: 'amd64', arm64: 'arm64' };

/** Why files of this machine would not run there; undefined where they do. */
async function strangeness(docker: Docker): Promise<string | undefined> {
  const { Os, Arch } = await ask(() => docker.version());
  const ours = `${process.platform}/${ARCHITECTURES[process.arch] ?? process.arch}`;
  const theirs = `${Os}/${Arch}`;
  return ours === theirs ? undefined : `this machine is ${ours}, the engine’s is ${theirs}`;
}

async function load(docker: Docker, files: readonly ImageFile[], tag: string): Promise<void> {
  const all = sizeOf(files);
  let sent = 0;
  const progress = () => `loading the image, ${Math.round((100 * sent) / all)} % of ${Math.round(all / 1e6)} MB`;
  await withProgress(progress, async () => {
    try {
      const archive = archiveOf(files, (bytes) => (sent += bytes));
      await finished(await docker.importImage(archive, { repo: NAME, tag, changes: CHANGES(tag) } as object));
      await docker.getImage(`${NAME}:${tag}`).tag({ repo: NAME, tag: VERSION });
    } catch (error) {
      throw new WeaveError('WEAVE_IMAGE_FAILED', `the image could not be loaded: ${engineFailure(error).message}`, {
        cause: error,
      });
    }
  });
}

const CHANGES = (tag: string) =>
  [
    `ENTRYPOINT ["node", "${ROOT}/cli/bin/weave.cjs", "--local"]`,
    'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    `LABEL ${IMAGE_LABEL}=${tag} org.opencontainers.image.title=weave org.opencontainers.image.version=${VERSION}`,
  ].join('\n');

/** The engine tells of a failure in the stream of its answer. */
async function finished(answer: NodeJS.ReadableStream): Promise<void> {
  let text = '';
  for await (const chunk of answer) text += chunk;
  for (const line of text.split('\n').filter(Boolean)) {
    const { error } = JSON.parse(line) as { error?: string };
    if (error) throw new WeaveError('WEAVE_IMAGE_FAILED', error);
  }
}
