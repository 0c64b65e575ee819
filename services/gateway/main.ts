import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { configurationOrExit, FLAG, LOG_LEVEL } from '../runtime/configuration.js';
import { createLogger, gatheredOutput } from '../runtime/logger.js';
import { runProcess } from '../runtime/process.js';
import { IN_FLIGHT_TIME_MAX_MS, startGateway } from './gateway.js';

/** Entry point of the HTTP gateway: `npm run gateway`. */

const HOST_AND_PORT = z.string().regex(/:\d+$/, 'must be host:port');
const BASE_URI = z.url({ protocol: /^https?$/ }).transform((uri) => uri.replace(/\/+$/, ''));

const PROVIDER_TIME_MS = z.coerce.number('must be a number').int().min(1_000).max(900_000);

const configuration = configurationOrExit(
  {
    GATEWAY_LISTEN: HOST_AND_PORT.default('127.0.0.1:8080'),
    EXPERIENCES_ADDRESS: HOST_AND_PORT.default('127.0.0.1:50051'),
    EXPERIENCES_API_KEY: z.string().optional(),
    GATEWAY_OUTBOX: z.string().default(join(homedir(), '.experiences', 'outbox')),
    GATEWAY_OPENAI_URL: BASE_URI.default('https://api.openai.com'),
    GATEWAY_ANTHROPIC_URL: BASE_URI.default('https://api.anthropic.com'),
    GATEWAY_PROVIDER_HOSTS: z
      .string()
      .transform((list) => list.split(',').map((host) => host.trim().toLowerCase()))
      .pipe(z.array(z.string().regex(/^[a-z0-9.-]+(?::\d+)?$/, 'must be hosts, with commas between')))
      .default([]),
    GATEWAY_PRIVATE_PROVIDER_HOSTS: FLAG.default(false),
    GATEWAY_PROVIDER_ANSWER_MS: PROVIDER_TIME_MS.default(600_000),
    GATEWAY_PROVIDER_SILENCE_MS: PROVIDER_TIME_MS.default(300_000),
    GATEWAY_STOP_MS: z.coerce
      .number('must be a number')
      .int()
      .min(0)
      .max(900_000)
      .default(IN_FLIGHT_TIME_MAX_MS),
    LOG_LEVEL,
  },
  process.env,
);
const logger = createLogger('gateway', configuration.LOG_LEVEL, gatheredOutput());
const apiKey = configuration.EXPERIENCES_API_KEY;

await runProcess(
  logger,
  async () => {
    const gateway = await startGateway({
      listen: configuration.GATEWAY_LISTEN,
      serviceAddress: configuration.EXPERIENCES_ADDRESS,
      ...(apiKey === undefined ? {} : { apiKey }),
      outboxFolder: configuration.GATEWAY_OUTBOX,
      providers: {
        openai: configuration.GATEWAY_OPENAI_URL,
        anthropic: configuration.GATEWAY_ANTHROPIC_URL,
      },
      providerHosts: configuration.GATEWAY_PROVIDER_HOSTS,
      privateProviderHosts: configuration.GATEWAY_PRIVATE_PROVIDER_HOSTS,
      providerTimes: {
        answerMaxMs: configuration.GATEWAY_PROVIDER_ANSWER_MS,
        silenceMaxMs: configuration.GATEWAY_PROVIDER_SILENCE_MS,
      },
      inFlightTimeMaxMs: configuration.GATEWAY_STOP_MS,
      logger,
    });
    logger.info({ address: gateway.address }, 'gateway ready');
    return gateway;
  },
  // What is settled late, the outbox and the recorders have bounds of their own, which are below this.
  { stopTimeMaxMs: configuration.GATEWAY_STOP_MS + 20_000 },
);
