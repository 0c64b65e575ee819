import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import {
  bundleWorkflowCode,
  DefaultLogger,
  Runtime,
  Worker,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { beforeAll, describe, expect, test } from 'vitest';

/**
 * Histories of runs as they were recorded, one file a workflow and release; a run that has begun under an old release
 * must go on under the new one. `temporal workflow show --output json` writes such a file.
 */
const FOLDER = fileURLToPath(new URL('./fixtures/histories', import.meta.url));
const FILES = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));

let withPlugin: WorkflowBundleWithSourceMap;
let withoutPlugin: WorkflowBundleWithSourceMap;
beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const workflowsPath = source('workflows');
  withPlugin = await bundleWorkflowCode({
    workflowsPath,
    workflowInterceptorModules: [source('plugin/workflow-interceptors')],
  });
  withoutPlugin = await bundleWorkflowCode({ workflowsPath });
});

describe.each(FILES)('the recorded history %s', (file) => {
  test('replays with the interceptors and without them: they add no command', async () => {
    await replay(withPlugin, file);
    await replay(withoutPlugin, file);
  });

  test('is refused when it lacks an activity that the workflow schedules', async () => {
    const text = readFileSync(join(FOLDER, file), 'utf8');
    const [, activity = 'none'] = /"activityType": \{\s*"name": "(\w+)"/.exec(text) ?? [];
    const changed = text.replaceAll(`"${activity}"`, '"somethingElse"');
    expect(changed).not.toBe(text);
    await expect(replayText(withPlugin, changed)).rejects.toThrow(DeterminismViolationError);
  });
});

async function replay(workflowBundle: WorkflowBundleWithSourceMap, file: string): Promise<void> {
  await replayText(workflowBundle, readFileSync(join(FOLDER, file), 'utf8'));
}

async function replayText(workflowBundle: WorkflowBundleWithSourceMap, text: string): Promise<void> {
  const history = historyFromJSON(JSON.parse(text));
  // Children are named for it.
  const workflowId = history.events?.[0]?.workflowExecutionStartedEventAttributes?.workflowId ?? undefined;
  await Worker.runReplayHistory({ workflowBundle }, history, workflowId);
}

function source(name: string): string {
  return fileURLToPath(new URL(`../workflows/${name}.ts`, import.meta.url));
}
