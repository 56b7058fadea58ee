/** Where the image has Weave's own files. */
export const ROOT = '/opt/weave';
export const IMAGE_LABEL = 'works.weave.image';
