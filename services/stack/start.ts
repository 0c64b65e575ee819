/** Entry point of `npm start`: everything in the foreground for development, with data kept between starts. */
import { join, relative, resolve } from 'node:path';
import { openaiUrl } from '../client/index.js';
import { PACKAGE_ROOT } from '../runtime/package-root.js';
import { type ExperiencesStack, startExperiencesStack } from './experiences-stack.js';
import { createReferenceTypes } from './reference-types.js';
import { runUntilSignal, whenAborted } from './run-until-signal.js';
import { assertPortFree } from './wait-for-port.js';

const LISTEN_DEFAULT = '127.0.0.1:50051';
const GATEWAY_PORT_DEFAULT = 8080;
const { EXPERIENCES_DATA, EXPERIENCES_LISTEN, GATEWAY_LISTEN } = process.env;
const dataFolder = resolve(EXPERIENCES_DATA || join(PACKAGE_ROOT, '.experiences', 'data'));

await runUntilSignal(async (signal) => {
  const stack = await startExperiencesStack({
    environment: process.env,
    log: (line) => console.log(line),
    dataFolder,
    listen: EXPERIENCES_LISTEN || LISTEN_DEFAULT,
    gatewayListen: GATEWAY_LISTEN || `127.0.0.1:${await gatewayPort()}`,
    onLogLine: showProblem,
    signal,
  });
  try {
    await Promise.race([serve(stack), whenAborted(signal)]);
    return 0;
  } catch (error) {
    // Ctrl-C is how it is meant to end.
    if (signal.aborted) return 0;
    throw error;
  } finally {
    await stack.stop();
    console.log('stopped');
  }
});

/** Says what to do with it, and rejects with the last words of a process that ends by itself. */
async function serve(stack: ExperiencesStack): Promise<void> {
  const { serviceAddress, gatewayUrl, service, worker, gateway } = stack;
  await createReferenceTypes(serviceAddress, stack.caller);
  console.log(`
Experiences is running; Ctrl-C stops it. Data is kept in ${relative('', dataFolder) || dataFolder}.

  npx experiences types create My_Feature --description "What it does"
  npx experiences start Document_Summarization README.md --watch
  npx buf curl --reflect --protocol grpc --http2-prior-knowledge --list-services http://${serviceAddress}

An OpenAI client takes ${openaiUrl(gatewayUrl)} as its base URL;
what else HTTP can do is told at ${gatewayUrl}/api/v1/openapi.json.
`);
  const endings = [service, worker, gateway].map(async ({ name, exited, lines }) => {
    await exited;
    throw new Error(`the ${name} ended:\n${lines().slice(-5).join('\n')}`);
  });
  await Promise.race(endings);
}

/** Others like this port too. Where one of them has it a free one will do, whose address is told. */
async function gatewayPort(): Promise<number> {
  try {
    await assertPortFree(GATEWAY_PORT_DEFAULT);
    return GATEWAY_PORT_DEFAULT;
  } catch {
    console.log(
      `HTTP gateway: port ${GATEWAY_PORT_DEFAULT} is taken, so a free one (GATEWAY_LISTEN names another)`,
    );
    return 0;
  }
}

/** Warnings and worse of our own processes, as they log them: JSON. */
function showProblem(line: string): void {
  if (/"level":(?:40|50|60)\b/.test(line) || !line.startsWith('{')) console.error(line);
}
