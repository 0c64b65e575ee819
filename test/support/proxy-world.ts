import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import type { GatewayOptions } from '../../services/gateway/gateway-options.js';
import { startTestGateway } from './gateway.js';
import { type ScriptedProvider, startScriptedProvider } from './scripted-provider.js';
import { startTestService, type TestService } from './service.js';

/** A service, a provider that answers as tests say, and the gateway between them and stock clients. */
export interface ProxyWorld {
  readonly service: TestService;
  readonly provider: ScriptedProvider;
  /** Of the gateway. */
  readonly url: string;
  readonly openai: OpenAI;
  readonly anthropic: Anthropic;
  /** A call as its bytes. */
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Response>;
  stop(): Promise<void>;
}

export async function startProxyWorld(
  options: {
    readonly service?: Parameters<typeof startTestService>[0];
    readonly gateway?: Partial<GatewayOptions>;
  } = {},
): Promise<ProxyWorld> {
  const [service, provider] = await Promise.all([startTestService(options.service), startScriptedProvider()]);
  const gateway = await startTestGateway({
    serviceAddress: service.address,
    providers: { openai: provider.url, anthropic: provider.url },
    ...options.gateway,
  });
  const proxyUrl = `${gateway.url}/api/v1/proxy`;
  return {
    service,
    provider,
    url: gateway.url,
    openai: new OpenAI({ apiKey: OPENAI_KEY, baseURL: `${proxyUrl}/openai/v1`, maxRetries: 0 }),
    anthropic: new Anthropic({ apiKey: ANTHROPIC_KEY, baseURL: `${proxyUrl}/anthropic`, maxRetries: 0 }),
    post: (path, body, headers = {}) =>
      fetch(`${proxyUrl}/${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${OPENAI_KEY}`, ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    async stop() {
      await gateway.stop();
      await provider.stop();
      await service.stop();
    },
  };
}

/** The member of an answer or of a chunk that its type does not have. */
export function resultIn(answer: object): Readonly<Record<string, unknown>> {
  if (!('xproxy_result' in answer) || typeof answer.xproxy_result !== 'object')
    throw new Error('the answer has no xproxy_result');
  return { ...answer.xproxy_result };
}

export const OPENAI_KEY = 'sk-a-key-of-the-provider';
export const ANTHROPIC_KEY = 'sk-ant-a-key-of-the-provider';
