/**
 * Entry point of `npm run demo [file]`: starts everything on free ports, runs three summaries, and shows what each cost.
 */
import { costSummary } from '../cli/cost-summary.js';
import { usageTable } from '../cli/usage-table.js';
import { type ExperienceRun, ExperiencesClient, type UsageEvent } from '../client/index.js';
import { formatMoney, type Money, NO_MONEY, parseMoney, sumMoney } from '../domain/money.js';
import { type DemoDocument, demoDocuments } from './demo-documents.js';
import { type ExperiencesStack, startExperiencesStack, usesProvider } from './experiences-stack.js';
import { secondsSince } from './progress.js';
import { createReferenceTypes, DOCUMENT_SUMMARIZATION } from './reference-types.js';
import { RunProgressLines } from './run-progress-lines.js';
import { runUntilSignal, whenAborted } from './run-until-signal.js';

/** Small, so that a short document too is summarised in parts. */
const CHUNK_TOKENS = 600;
const LINE_LENGTH_MAX = 100;
const startedAt = performance.now();

await runUntilSignal(async (signal) => {
  const documents = await demoDocuments(process.argv[2], process.env);
  heading('Starting MongoDB, Temporal, the gRPC service, the worker and a provider');
  const stack = await startExperiencesStack({
    environment: process.env,
    log: (line) => console.log(`  ${line}`),
    // As a model that answers fast; without it nobody would see the runs go on.
    simulator: { SIMULATOR_LATENCY_MS: '150', SIMULATOR_LATENCY_JITTER_MS: '150' },
    signal,
  });
  const client = new ExperiencesClient({ address: stack.serviceAddress });
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
  await createReferenceTypes(stack.serviceAddress);
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

/** A process that ends by itself in the middle fails the demo with its last words. */
function endings({ service, worker }: ExperiencesStack): readonly Promise<void>[] {
  return [service, worker].map(async ({ name, exited, lines }) => {
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
  return `Keep everything running, with its data, at 127.0.0.1:50051:
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
