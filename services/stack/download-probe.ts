import { connect as connectTcp, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface ProbeOptions {
  /** An https address; only its host and port matter. */
  readonly url: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly timeoutMs?: number;
}

const PROBE_TIMEOUT_MS = 3_000;
const HTTPS_PORT = 443;
const HTTP_PORT = 80;

/**
 * Says within seconds why a download cannot work, or undefined when it may. The downloaders themselves retry for minutes
 * where a host cannot be reached. With a proxy configured only the proxy can be asked.
 */
export async function probeDownload(options: ProbeOptions): Promise<string | undefined> {
  const proxy = proxyUrl(options.environment);
  const { hostname, port, protocol } = new URL(proxy ?? options.url);
  const viaTls = protocol === 'https:';
  const address = { host: hostname, port: port === '' ? (viaTls ? HTTPS_PORT : HTTP_PORT) : Number(port) };
  const timeoutMs = options.timeoutMs ?? PROBE_TIMEOUT_MS;

  return new Promise((resolve) => {
    const socket = viaTls
      ? connectTls({ ...address, ...nameOf(hostname) }, () => answer(undefined))
      : connectTcp(address, () => answer(undefined));
    // The socket's own timeout does not cover the look-up of the name.
    const timer = setTimeout(() => answer(`no answer from ${hostname} in ${timeoutMs} ms`), timeoutMs);
    const answer = (reason: string | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(reason);
    };
    socket.on('error', (error) => answer(`${hostname} cannot be reached: ${error.message}`));
  });
}

/** The name that the certificate must have; an IP address cannot be sent as one. */
function nameOf(hostname: string): { readonly servername?: string } {
  return isIP(hostname) === 0 ? { servername: hostname } : {};
}

function proxyUrl(environment: NodeJS.ProcessEnv): string | undefined {
  const value = environment.https_proxy || environment.HTTPS_PROXY;
  return value && URL.canParse(value) ? value : undefined;
}
