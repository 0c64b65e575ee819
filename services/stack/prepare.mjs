/**
 * Runs before every npm command and makes a fresh clone ready for it: checks Node, installs the packages, generates and
 * builds, and with `--servers` fetches MongoDB and Temporal. It does only what is missing or out of date, and prints only
 * what it does, to standard error. `--quiet` leaves out the lines that stay and keeps the one that comes and goes.
 *
 * Plain JavaScript without packages, because there are none yet when it runs first.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const NODE_MIN = { major: 20, minor: 19 };
const IS_WINDOWS = process.platform === 'win32';

const LOCKFILE = join(ROOT, 'package-lock.json');
const MODULES = join(ROOT, 'node_modules');
/** npm's own account of what it installed. */
const INSTALLED_LOCKFILE = join(MODULES, '.package-lock.json');
const INSTALL_STAMP = join(MODULES, '.prepared');
const BUILD_STAMP = join(ROOT, 'dist', '.prepared');
const BUILD_INPUTS = ['proto', 'services', 'workflows', 'package-lock.json'];
/** Generated from the other inputs. */
const BUILD_INPUTS_LEFT_OUT = ['generated', 'dist', 'node_modules'];
/** What tests read from the sources' side of the build. */
const GENERATED = join(ROOT, 'services', 'contract', 'generated');
const FETCH_SERVERS = join(ROOT, 'dist', 'services', 'stack', 'fetch-servers.js');

const LOCK = join(ROOT, '.experiences', 'prepare.lock');
const LOCK_OWNER = join(LOCK, 'pids');
/** Between making the lock and writing its owner lies a moment; a lock that stays without one was abandoned in it. */
const LOCK_OWNER_MISSING_MAX_MS = 5_000;
const LOCK_POLL_MS = 200;

const TICK_MS = 1_000;
/** Without a terminal a line that refreshes would be a line a second. */
const PRINT_EVERY_MS = 10_000;
const OUTPUT_LINES_MAX = 40;
const EXIT_FAILED = 1;
/** A shell's way to say that a signal ended a program. */
const EXIT_SIGNAL_BASE = 128;

const wantsServers = process.argv.includes('--servers');
const quiet = process.argv.includes('--quiet');

await main();

async function main() {
  const problem = nodeProblem();
  if (problem !== undefined) {
    console.error(problem);
    process.exit(EXIT_FAILED);
  }
  if (!wantsServers && isInstalled() && isBuilt(buildInputsHash())) return;

  await takeLock();
  try {
    // Another run may have done it while this one waited.
    if (!isInstalled()) await install();
    const inputs = buildInputsHash();
    if (!isBuilt(inputs)) await build(inputs);
    if (wantsServers) await fetchServers();
  } finally {
    releaseLock();
  }
}

function nodeProblem() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > NODE_MIN.major || (major === NODE_MIN.major && minor >= NODE_MIN.minor)) return undefined;
  return `Node ${NODE_MIN.major}.${NODE_MIN.minor} or later is needed, this is ${process.version} (${process.execPath}).`;
}

// Packages

function isInstalled() {
  if (!existsSync(INSTALLED_LOCKFILE)) return false;
  const stamp = installStamp();
  if (existsSync(INSTALL_STAMP)) return readFileSync(INSTALL_STAMP, 'utf8') === stamp;
  // Installed by hand: that counts when it is what the lockfile asks for.
  if (!installedMatchesLockfile()) return false;
  writeFileSync(INSTALL_STAMP, stamp);
  return true;
}

/** Packages with native parts are chosen for the major version of Node. */
function installStamp() {
  return `${sha256(readFileSync(LOCKFILE))} node ${process.versions.node.split('.')[0]}\n`;
}

function installedMatchesLockfile() {
  const wanted = JSON.parse(readFileSync(LOCKFILE, 'utf8')).packages;
  const installed = JSON.parse(readFileSync(INSTALLED_LOCKFILE, 'utf8')).packages;
  return Object.entries(wanted).every(
    ([path, entry]) => path === '' || entry.optional || installed[path]?.version === entry.version,
  );
}

async function install() {
  // With NODE_ENV=production npm would leave out what the build needs.
  await runStep('installing dependencies', 'installed dependencies', npmCommand(['ci', '--include=dev']));
  writeFileSync(INSTALL_STAMP, installStamp());
}

/** The npm that runs us, if one does; other package managers set the same variable. */
function npmCommand(args) {
  const script = process.env.npm_execpath;
  if (script !== undefined && basename(script).startsWith('npm-cli')) {
    return { command: process.execPath, args: [script, ...args], shell: false };
  }
  // On Windows npm is a batch file, which only a shell can run.
  return { command: 'npm', args, shell: IS_WINDOWS };
}

// Build

function isBuilt(inputs) {
  return existsSync(GENERATED) && existsSync(BUILD_STAMP) && readFileSync(BUILD_STAMP, 'utf8') === inputs;
}

async function build(inputs) {
  await runStep('building', 'built', npmCommand(['run', 'build']));
  mkdirSync(dirname(BUILD_STAMP), { recursive: true });
  // The hash from before: what was changed during the build is built the next time.
  writeFileSync(BUILD_STAMP, inputs);
}

function buildInputsHash() {
  const hash = createHash('sha256');
  const configurations = readdirSync(ROOT).filter((name) => /^tsconfig.*\.json$/.test(name));
  for (const name of [...BUILD_INPUTS, ...configurations.sort()]) addToHash(hash, name);
  return `${hash.digest('hex')}\n`;
}

function addToHash(hash, path) {
  const full = join(ROOT, path);
  if (!existsSync(full)) return;
  if (!statSync(full).isDirectory()) {
    const content = readFileSync(full);
    // With its length, so that no two trees can read the same.
    hash.update(`${path}\0${content.length}\0`).update(content);
    return;
  }
  const names = readdirSync(full).filter((name) => !BUILD_INPUTS_LEFT_OUT.includes(name));
  for (const name of names.sort()) addToHash(hash, `${path}/${name}`);
}

// Servers

async function fetchServers() {
  await runStep('looking for the servers', 'fetched the servers', {
    command: process.execPath,
    args: [FETCH_SERVERS, '--quiet'],
    shell: false,
    showOutput: true,
  });
}

// Running one step

/**
 * Runs a command and shows that it is alive. When it fails, prints the last lines of its output and ends this process with
 * its code. With `showOutput` its lines are printed as they come, and a step that printed none counts as nothing done.
 */
async function runStep(doing, done, { command, args, shell, showOutput = false }) {
  const startedAt = Date.now();
  const lines = [];
  const status = showStatus(doing, startedAt, showOutput);
  const child = spawn(command, args, {
    cwd: ROOT,
    shell,
    // A group of its own, so that a signal reaches also what it starts, and only through us.
    detached: !IS_WINDOWS,
    stdio: ['ignore', 'pipe', 'pipe'],
    windowsHide: true,
  });
  addLockHolder(child.pid);
  const onLine = (line) => {
    lines.push(line);
    if (lines.length > OUTPUT_LINES_MAX) lines.shift();
    if (showOutput) status.print(line);
  };
  splitLines(child.stdout, onLine);
  splitLines(child.stderr, onLine);

  let signalled;
  const passOn = (signal) => {
    signalled = signal;
    killGroup(child, signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, passOn);
  const { code, signal, error } = await new Promise((resolve) => {
    child.on('error', (cause) => resolve({ error: cause }));
    child.on('close', (exitCode, exitSignal) => resolve({ code: exitCode, signal: exitSignal }));
  });
  for (const each of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(each, passOn);
  status.end();

  const endedBy = signalled ?? signal ?? undefined;
  if (error === undefined && endedBy === undefined && code === 0) {
    if (!quiet && (!showOutput || lines.length > 0)) status.print(`${done} (${secondsSince(startedAt)} s)`);
    return;
  }
  releaseLock();
  if (endedBy !== undefined) process.exit(EXIT_SIGNAL_BASE + constants.signals[endedBy]);
  if (!showOutput) for (const line of lines) console.error(line);
  const how = error === undefined ? `ended with code ${code}` : error.message;
  console.error(`${doing}: ${how} after ${secondsSince(startedAt)} s`);
  process.exit(code || EXIT_FAILED);
}

function killGroup(child, signal) {
  if (child.pid === undefined) return;
  try {
    process.kill(IS_WINDOWS ? child.pid : -child.pid, signal);
  } catch {
    // It has ended already.
  }
}

function splitLines(stream, onLine) {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text) => {
    const parts = (rest + text).split(/\r?\n/);
    rest = parts.pop() ?? '';
    parts.forEach(onLine);
  });
  stream.on('end', () => {
    if (rest !== '') onLine(rest);
  });
}

/** One line "what … 12 s" that refreshes on a terminal; elsewhere a line every ten seconds, unless the step has its own. */
function showStatus(what, startedAt, hasOwnLines) {
  const isTerminal = process.stderr.isTTY === true;
  const draw = () => {
    if (isTerminal) process.stderr.write(`\r\x1b[K${what} … ${secondsSince(startedAt)} s`);
  };
  const clear = () => {
    if (isTerminal) process.stderr.write('\r\x1b[K');
  };
  let printedAt = startedAt;
  const timer = setInterval(() => {
    draw();
    if (isTerminal || quiet || hasOwnLines || Date.now() - printedAt < PRINT_EVERY_MS) return;
    printedAt = Date.now();
    console.error(`${what} … ${secondsSince(startedAt)} s`);
  }, TICK_MS);
  return {
    print(line) {
      clear();
      console.error(line);
    },
    end() {
      clearInterval(timer);
      clear();
    },
  };
}

// The lock: a folder, because making one is atomic; in it the ids of the processes that hold it.

async function takeLock() {
  mkdirSync(dirname(LOCK), { recursive: true });
  const startedAt = Date.now();
  let status;
  while (!makeFolder(LOCK)) {
    if (isAbandoned()) {
      removeAbandonedLock();
      continue;
    }
    status ??= showStatus('waiting for another npm command that prepares', startedAt, false);
    await delay(LOCK_POLL_MS);
  }
  status?.end();
  writeFileSync(LOCK_OWNER, `${process.pid}\n`);
}

/** The step goes on when we are killed; until it ends too, nobody else may start one. */
function addLockHolder(pid) {
  if (pid !== undefined) writeFileSync(LOCK_OWNER, `${process.pid}\n${pid}\n`);
}

function releaseLock() {
  rmSync(LOCK, { recursive: true, force: true });
}

function isAbandoned() {
  try {
    const pids = readFileSync(LOCK_OWNER, 'utf8').split('\n').filter(Boolean).map(Number);
    if (pids.length > 0) return !pids.some(isAlive);
  } catch {
    // Not written yet, or released just now.
  }
  try {
    return Date.now() - statSync(LOCK).mtimeMs > LOCK_OWNER_MISSING_MAX_MS;
  } catch {
    return false;
  }
}

/**
 * Two that wait may see the same abandoned lock; only one of them may remove it, or the second would remove the lock that
 * the first has made since. So the removal has a lock of its own, under which is looked again.
 */
function removeAbandonedLock() {
  const removal = `${LOCK}.removal`;
  if (!makeFolder(removal)) {
    // It is held for a moment only: an old one belongs to a process that was killed in that moment.
    if (ageMs(removal) > LOCK_OWNER_MISSING_MAX_MS) rmSync(removal, { recursive: true, force: true });
    return;
  }
  if (isAbandoned()) releaseLock();
  rmdirSync(removal);
}

function ageMs(path) {
  try {
    return Date.now() - statSync(path).mtimeMs;
  } catch {
    return 0;
  }
}

function makeFolder(path) {
  try {
    mkdirSync(path);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process is alive too.
    return error.code === 'EPERM';
  }
}

function sha256(content) {
  return createHash('sha256').update(content).digest('hex');
}

function secondsSince(startedAt) {
  return Math.round((Date.now() - startedAt) / 1000);
}

function delay(milliseconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
