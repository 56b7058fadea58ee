import type Docker from 'dockerode';

/** For what dockerode itself cannot break off, or would send a body with. */
export const dial = <T>(docker: Docker, method: 'GET' | 'POST', path: string, abortSignal: AbortSignal): Promise<T> =>
  new Promise((resolve, reject) => {
    const statusCodes = { 200: true, 204: true, 304: true, 404: 'it is not there', 500: 'server error' };
    docker.modem.dial({ path, method, statusCodes, abortSignal }, (error: unknown, answer: unknown) =>
      error ? reject(error) : resolve(answer as T),
    );
  });
