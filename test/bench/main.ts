import { parseArgs } from 'node:util';
import { profileGateway } from './gateway-profile.js';
import { gatewayJson, gatewayText } from './gateway-report.js';
import { measureGateway } from './gateway-suite.js';
import { ledgerJson, ledgerText } from './ledger-report.js';
import { measureLedger } from './ledger-suite.js';
import { isProfiledLoad, profileLoad } from './profile-suite.js';
import { isBalanced, workflowJson, workflowText } from './workflow-report.js';
import { measureWorkflow } from './workflow-suite.js';

/**
 * The benchmark: `npm run bench`, `npm run bench -- workflow`, `npm run bench -- gateway`, `npm run bench -- --quick`. With `--json` (and `npm run -s`,
 * which keeps npm's own lines away) standard output holds one JSON object and nothing else.
 */

const HELP = `npm run bench -- [suite [load]] [--quick] [--json]

Suites:
  ledger    recording and reading costs, against the driver alone and empty handlers (this if none is named)
  workflow  a workflow with the plugin and without, and the summary of a document against its critical path
  gateway   calls through the proxy, against the provider itself and a proxy that records nothing
  profile   where the service spends its time under a load: batch (if none is named), stream, unary (64 in flight), single;
            gateway and gateway-stream: where the gateway does, and the service behind it

  --quick  under a minute, with smaller sets
  --json   one JSON object on standard output; use npm run -s
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const { quick, json, help } = values;
const [suite = 'ledger', load = 'batch'] = positionals;
const log = (line: string): void => {
  process.stderr.write(`${(performance.now() / 1_000).toFixed(1).padStart(6)} s  ${line}\n`);
};

switch (help ? 'help' : suite) {
  case 'help':
    process.stdout.write(HELP);
    break;
  case 'ledger': {
    const measured = await measureLedger({ quick, log });
    const report = json ? JSON.stringify(ledgerJson(measured)) : ledgerText(measured);
    process.stdout.write(`${report}\n`);
    // Speed is for people to judge; books that do not balance, or a baseline that is none, are failures.
    if (!measured.verify.balanced || !measured.rawDocumentsSame) process.exitCode = 1;
    break;
  }
  case 'workflow': {
    const measured = await measureWorkflow({ quick, log });
    const report = json ? JSON.stringify(workflowJson(measured)) : workflowText(measured);
    process.stdout.write(`${report}\n`);
    // A plugin that adds to histories, or does not meter, is no matter of speed.
    const { historyEventsAdded } = workflowJson(measured);
    if (!isBalanced(measured) || historyEventsAdded !== 0) process.exitCode = 1;
    break;
  }
  case 'gateway': {
    const measured = await measureGateway({ quick, log });
    process.stdout.write(`${json ? JSON.stringify(gatewayJson(measured)) : gatewayText(measured)}\n`);
    if (!measured.books.balanced) process.exitCode = 1;
    break;
  }
  case 'profile': {
    if (load === 'gateway' || load === 'gateway-stream') {
      const profile = await profileGateway({ isStream: load === 'gateway-stream', quick, log });
      process.stdout.write(`${json ? JSON.stringify(profile.json) : profile.text}\n`);
      break;
    }
    if (!isProfiledLoad(load)) throw new Error(`there is no load '${load}'`);
    const profile = await profileLoad({ load, quick, log });
    process.stdout.write(`${json ? JSON.stringify(profile.json) : profile.text}\n`);
    break;
  }
  default:
    process.stderr.write(`there is no suite '${suite}'\n\n${HELP}`);
    process.exitCode = 2;
}
