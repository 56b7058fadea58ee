import { Agent, request } from 'node:http';

const agent = new Agent({ keepAlive: true });

/** Answered with success, or it throws. */
export function post(socketPath: string, path: string, body: unknown = {}): Promise<void> {
  const text = JSON.stringify(body);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, method: 'POST', headers, agent }, (response) => {
      let answer = '';
      response.setEncoding('utf8').on('data', (chunk) => {
        answer += chunk;
      });
      response.on('end', () => (response.statusCode! < 300 ? resolve() : reject(new Error(`${path}: ${answer}`))));
    });
    sent.on('error', reject).end(text);
  });
}
