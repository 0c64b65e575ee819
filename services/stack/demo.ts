/**
 * Entry point of `npm run demo [file]`: starts everything on free ports, runs three summaries, and shows what each cost,
 * and what a call of a client that knows nothing of us has cost.
 */
import { costSummary } from '../cli/cost-summary.js';
import { usageTable } from '../cli/usage-table.js';
import { visibleLine } from '../cli/visible-text.js';
import { type ExperienceRun, ExperiencesClient, type UsageEvent } from '../client/index.js';
import { formatMoney, type Money, NO_MONEY, parseMoney, sumMoney } from '../domain/money.js';
import { documentText } from '../domain/run.js';
import { type DemoDocument, demoDocuments } from './demo-documents.js';
import { type ExperiencesStack, startExperiencesStack, usesProvider } from './experiences-stack.js';
import { secondsSince } from './progress.js';
import { callThroughProxy } from './proxied-call.js';
import { createReferenceTypes, DOCUMENT_SUMMARIZATION } from './reference-types.js';
import { RunProgressLines } from './run-progress-lines.js';
import { runUntilSignal, whenAborted } from './run-until-signal.js';

/** Small, so that a short document too is summarised in parts. */
const CHUNK_TOKENS = 600;
const LINE_LENGTH_MAX = 100;
/** In characters: of what is asked through the gateway. */
const EXCERPT_LENGTH = 4_000;
const NOT_BEHIND_GATEWAY =
  '  Left out: the address in OPENAI_BASE_URL does not end in /v1, as those that it calls do.';
const startedAt = performance.now();

await runUntilSignal(async (signal) => {
  const documents = await demoDocuments(process.argv[2], process.env);
  heading('Starting MongoDB, Temporal, the gRPC service, the worker, the gateway and a provider');
  const stack = await startExperiencesStack({
    environment: process.env,
    log: (line) => console.log(`  ${line}`),
    // As a model that answers fast; without it nobody would see the runs go on.
    simulator: { SIMULATOR_LATENCY_MS: '150', SIMULATOR_LATENCY_JITTER_MS: '150' },
    signal,
  });
  const client = new ExperiencesClient({ address: stack.serviceAddress, caller: stack.caller });
  try {
    const showing = show(client, stack, documents);
    await Promise.race([showing, whenAborted(signal), ...endings(stack)]);
    return 0;
  } finally {
    client.close();
    await stack.stop();
    console.log(`\nEverything is stopped (${secondsSince(startedAt)} s in all).`);
  }
});

async function show(
  client: ExperiencesClient,
  stack: ExperiencesStack,
  documents: readonly DemoDocument[],
): Promise<void> {
  heading(`Running ${documents.length} experiences of ${DOCUMENT_SUMMARIZATION.name}`);
  await createReferenceTypes(stack.serviceAddress, stack.caller);
  const runs = await runAll(client, documents);
  const [first] = runs;
  if (first === undefined) throw new Error('the demo runs at least one document');

  heading(`The summary of ${documents[0]?.title ?? ''}`);
  console.log(wrapped(summaryOf(first)));

  heading(`What experience ${first.experienceId} paid for`);
  const events: UsageEvent[] = [];
  for await (const event of client.usage.list(first.experienceId)) events.push(event);
  console.log(usageTable(events));
  const cost = await client.costs.get(first.experienceId);
  console.log(`\n${costSummary(cost)}`);
  const listed = sum(events.map((event) => event.cost.total));
  if (formatMoney(listed) !== cost.totals.cost.total) {
    throw new Error(`the calls add up to ${formatMoney(listed)}, the total says ${cost.totals.cost.total}`);
  }

  heading(`The ${runs.length} experiences side by side`);
  const totals: { title: string; total: Money; calls: bigint }[] = [];
  for (const [index, run] of runs.entries()) {
    const { totals: found } = await client.costs.get(run.experienceId);
    totals.push({
      title: documents[index]?.title ?? '',
      total: exact(found.cost.total),
      calls: found.eventCount,
    });
  }
  console.log(comparison(totals));

  heading('The same feature called through the HTTP gateway, by the stock OpenAI client');
  console.log(
    isBehindGateway(process.env) ? await proxiedCall(client, stack, documents) : NOT_BEHIND_GATEWAY,
  );

  heading('How to go on');
  console.log(howToGoOn(first.experienceId));
}

/** Starts all runs, shows how far each is, and answers them when all have ended well. */
async function runAll(
  client: ExperiencesClient,
  documents: readonly DemoDocument[],
): Promise<readonly ExperienceRun[]> {
  const started = await Promise.all(
    documents.map(({ name, content }) =>
      client.runs.start({
        experienceType: DOCUMENT_SUMMARIZATION.name,
        document: { name, content },
        parameters: { chunkTokens: CHUNK_TOKENS },
      }),
    ),
  );
  const lines = new RunProgressLines(documents.map(({ title }) => title));
  const ended = await Promise.all(
    started.map(async ({ run }, index) => {
      let last = run;
      for await (const state of client.runs.watch(run.experienceId)) {
        last = state;
        lines.show(index, state);
      }
      return last;
    }),
  );
  lines.end();
  for (const run of ended) {
    if (run.state !== 'COMPLETED') {
      throw new Error(
        `experience ${run.experienceId} ended ${run.state}: ${run.failure?.message ?? 'no reason given'}`,
      );
    }
  }
  return ended;
}

/** The gateway calls the paths that OpenAI has, which all begin with the version. */
function isBehindGateway({ OPENAI_BASE_URL }: NodeJS.ProcessEnv): boolean {
  return !OPENAI_BASE_URL || /\/v1\/*$/.test(OPENAI_BASE_URL);
}

/** What the client was told by the gateway, beside what the service has in its books. */
async function proxiedCall(
  client: ExperiencesClient,
  { gatewayUrl, caller }: ExperiencesStack,
  [document]: readonly DemoDocument[],
): Promise<string> {
  const text = document === undefined ? undefined : documentText(document.content);
  const excerpt = text !== undefined && 'text' in text ? [...text.text].slice(0, EXCERPT_LENGTH) : [];
  const call = await callThroughProxy({
    gatewayUrl,
    apiKey: caller.apiKey,
    experienceName: DOCUMENT_SUMMARIZATION.name,
    environment: process.env,
    question: `Summarise this beginning of a document:\n\n${excerpt.join('')}`,
  });
  const { totals } = await client.costs.get(call.experienceId);
  if (call.cost !== undefined && call.cost !== totals.cost.total) {
    throw new Error(`the gateway told a cost of ${call.cost}, the service has ${totals.cost.total}`);
  }
  const rows = {
    baseURL: call.baseUrl,
    header: `xProxy-Experience-Name: ${DOCUMENT_SUMMARIZATION.name}`,
    [`${call.model} answered`]: visibleLine(call.answer, LINE_LENGTH_MAX),
    xproxy_result: `experience ${call.experienceId}, ${call.cost === undefined ? 'no price' : `$${call.cost}`}`,
    'the service': `experience ${call.experienceId}, $${totals.cost.total} in ${totals.eventCount} ${totals.eventCount === 1n ? 'call' : 'calls'}`,
  };
  const width = Math.max(...Object.keys(rows).map((name) => name.length));
  return Object.entries(rows)
    .map(([name, value]) => `  ${name.padEnd(width)}  ${value}`)
    .join('\n');
}

/** A process that ends by itself in the middle fails the demo with its last words. */
function endings({ service, worker, gateway }: ExperiencesStack): readonly Promise<void>[] {
  return [service, worker, gateway].map(async ({ name, exited, lines }) => {
    await exited;
    throw new Error(`the ${name} ended:\n${lines().slice(-5).join('\n')}`);
  });
}

function comparison(
  runs: readonly { readonly title: string; readonly total: Money; readonly calls: bigint }[],
): string {
  const sorted = runs.map(({ total }) => total).sort((a, b) => (a < b ? -1 : 1));
  const [minimum, median, maximum] = [sorted[0], sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
  const width = Math.max(...runs.map(({ title }) => title.length));
  const rows = runs.map(
    ({ title, total, calls }) =>
      `  ${title.padEnd(width)}  ${String(calls).padStart(4)} ${calls === 1n ? 'call ' : 'calls'}  $${formatMoney(total)}`,
  );
  const figures = Object.entries({ minimum, median, maximum }).map(
    ([label, amount]) => `  ${label.padEnd(width)}  ${' '.repeat(10)}  $${formatMoney(amount ?? NO_MONEY)}`,
  );
  return [...rows, '', ...figures].join('\n');
}

function howToGoOn(experienceId: string): string {
  const provider = usesProvider(process.env)
    ? ''
    : `
The answers came from the provider simulator, priced as OpenAI's models are. With a provider of your own:
  OPENAI_API_KEY=... npm run demo        (OPENAI_BASE_URL for any other OpenAI-compatible API, EXPERIENCES_MODEL)
`;
  return `Keep everything running, with its data, at 127.0.0.1:50051 (gRPC) and http://127.0.0.1:8080 (HTTP):
  npm start
and, in another terminal, start a run and ask what it cost:
  npx experiences start ${DOCUMENT_SUMMARIZATION.name} README.md --watch
  npx experiences cost <experience id>   (here it was ${experienceId})
${provider}
README.md tells how other services call it.`;
}

function summaryOf({ result }: ExperienceRun): string {
  if (typeof result === 'object' && result !== null && 'summary' in result) return String(result.summary);
  throw new Error('the workflow answered no summary');
}

function sum(amounts: readonly string[]): Money {
  return sumMoney(amounts.map(exact));
}

function exact(amount: string): Money {
  const parsed = parseMoney(amount);
  if (parsed === undefined) throw new Error(`'${amount}' is no amount`);
  return parsed;
}

function wrapped(text: string): string {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const line = lines.at(-1);
    if (line === undefined || line.length + word.length + 1 > LINE_LENGTH_MAX) lines.push(`  ${word}`);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines.join('\n');
}

function heading(text: string): void {
  console.log(`\n${text}\n`);
}
